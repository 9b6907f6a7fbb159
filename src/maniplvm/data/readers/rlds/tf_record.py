"""Reads TFRecord files record by record, without TensorFlow.

A record is its length (8 bytes, little endian), the length's checksum, its data, and the data's
checksum. A checksum has 4 bytes (masked CRC-32C).
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.errors import UserError

_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
_MASK_SHIFT, _MASK_DELTA, _MASK_32_BIT = 15, 0xA282EAD8, 0xFFFFFFFF
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x78\x01": "ZLIB", b"\x78\x9c": "ZLIB", b"\x78\xda": "ZLIB"}


@dataclass(frozen=True)
class TFRecord:
    """One record of a file.

    Attributes:
        offset: The position of its first byte in the file.
        data: The record's content, or None if it cannot be read.
        error: The error that prevents reading, or None.
    """

    offset: int
    data: bytes | None
    error: RecordError | None = None


def read_tf_records(path: Path) -> Iterator[TFRecord]:
    """Yield the records of a file. One record is in memory at a time.

    After a record with a wrong data checksum, reading continues with the next record. After a
    damaged length or at a truncated end, reading stops: that error is the last item.

    Raises:
        RecordError: the file cannot be opened.
        UserError: google-crc32c is not installed.
    """
    try:
        with path.open("rb") as file:
            yield from _records(file, path.stat().st_size, path)
    except OSError as error:
        raise RecordError(
            ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); download it again"
        ) from error


def masked_crc32c(data: bytes) -> int:
    """The checksum that TFRecord files store: a CRC-32C (RFC 3720), rotated and shifted.

    Raises:
        UserError: google-crc32c is not installed.
    """
    crc = int(_google_crc32c().value(data))
    rotated = (crc >> _MASK_SHIFT | crc << (32 - _MASK_SHIFT)) & _MASK_32_BIT
    return (rotated + _MASK_DELTA) & _MASK_32_BIT


def _google_crc32c() -> Any:
    try:
        return importlib.import_module("google_crc32c")
    except ImportError as error:
        raise UserError(
            f'TFRecord files need google-crc32c ({error}): pip install "maniplvm[data]"'
        ) from error


def _records(file: BinaryIO, size: int, path: Path) -> Iterator[TFRecord]:
    offset = 0
    while head := file.read(_HEAD.size):
        try:
            length = _length(head, offset, size, path)
        except RecordError as error:
            yield TFRecord(offset, None, error)
            return
        data = file.read(length)
        (expected,) = _TAIL.unpack(file.read(_TAIL.size))
        if masked_crc32c(data) == expected:
            yield TFRecord(offset, data)
        else:
            detail = (
                f"{path}: the record at byte {offset} has a wrong checksum; download the file again"
            )
            yield TFRecord(offset, None, RecordError(ErrorCode.DAMAGED_FILE, detail))
        offset += _HEAD.size + length + _TAIL.size


def _length(head: bytes, offset: int, size: int, path: Path) -> int:
    if len(head) == _HEAD.size:
        length, expected = _HEAD.unpack(head)
        if masked_crc32c(head[:8]) != expected:
            raise RecordError(ErrorCode.DAMAGED_FILE, _length_error(head, offset, path))
        if offset + _HEAD.size + length + _TAIL.size <= size:
            return length
        size_text = f"{length + _HEAD.size + _TAIL.size} bytes long"
    else:
        size_text = "cut off inside its length"
    raise RecordError(
        ErrorCode.DAMAGED_FILE,
        f"{path} is truncated: the record at byte {offset} is {size_text}, but the file ends at byte "
        f"{size}; download it again",
    )


def _length_error(head: bytes, offset: int, path: Path) -> str:
    kind = _COMPRESSED.get(head[:2]) if offset == 0 else None
    if kind is not None:
        return f"{path} is compressed ({kind}); only uncompressed TFRecord files are read: decompress it first"
    if offset == 0:
        return f"{path} is not a TFRecord file: the length at byte 0 has a wrong checksum"
    return (
        f"{path}: the length at byte {offset} has a wrong checksum, so nothing after it can be read; "
        "download the file again"
    )
