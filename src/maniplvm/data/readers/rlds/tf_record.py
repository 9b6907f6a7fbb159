"""TFRecord files, record by record, without TensorFlow.

A record is its length (8 bytes, little endian), the length's checksum, its data, and the data's
checksum (4 bytes each: masked CRC-32C).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from maniplvm.data.readers.rlds.crc32c import masked_crc32c
from maniplvm.data.record_errors import Cause, RecordError

_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x78\x01": "ZLIB", b"\x78\x9c": "ZLIB", b"\x78\xda": "ZLIB"}


@dataclass(frozen=True)
class RawRecord:
    """One record of a file.

    Attributes:
        offset: Where it begins [bytes].
        data: Its content; None where `problem` says why it is not to be had.
        problem: What is wrong with it, or None.
    """

    offset: int
    data: bytes | None
    problem: RecordError | None = None


def read_tf_records(path: Path) -> Iterator[RawRecord]:
    """The records of a file, one in memory at a time.

    A record whose data fail their checksum is followed by the next one. After a damaged length or
    a cut there is no way on: that problem is the last one.

    Raises:
        RecordError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            yield from _records(file, path.stat().st_size, path)
    except OSError as error:
        raise RecordError(
            Cause.MISSING_FILE, f"{path} cannot be read ({error.strerror}); fetch it again"
        ) from error


def _records(file: BinaryIO, size: int, path: Path) -> Iterator[RawRecord]:
    offset = 0
    while head := file.read(_HEAD.size):
        try:
            length = _length(head, offset, size, path)
        except RecordError as error:
            yield RawRecord(offset, None, error)
            return
        data = file.read(length)
        (expected,) = _TAIL.unpack(file.read(_TAIL.size))
        if masked_crc32c(data) == expected:
            yield RawRecord(offset, data)
        else:
            detail = f"{path}: the record at byte {offset} fails its checksum; fetch the file again"
            yield RawRecord(offset, None, RecordError(Cause.DAMAGED_FILE, detail))
        offset += _HEAD.size + length + _TAIL.size


def _length(head: bytes, offset: int, size: int, path: Path) -> int:
    if len(head) == _HEAD.size:
        length, expected = _HEAD.unpack(head)
        if masked_crc32c(head[:8]) != expected:
            raise RecordError(Cause.DAMAGED_FILE, _not_a_length(head, offset, path))
        if offset + _HEAD.size + length + _TAIL.size <= size:
            return length
        wanted = f"{length + _HEAD.size + _TAIL.size} bytes long"
    else:
        wanted = "cut off inside its length"
    raise RecordError(
        Cause.DAMAGED_FILE,
        f"{path} is truncated: the record at byte {offset} is {wanted}, but the file ends at byte "
        f"{size}; fetch it again",
    )


def _not_a_length(head: bytes, offset: int, path: Path) -> str:
    kind = _COMPRESSED.get(head[:2]) if offset == 0 else None
    if kind is not None:
        return f"{path} is compressed ({kind}); only plain TFRecord files are read: unpack it first"
    if offset == 0:
        return f"{path} is no TFRecord file: the length at byte 0 fails its checksum"
    return (
        f"{path}: the length at byte {offset} fails its checksum, so nothing after it can be read; "
        "fetch the file again"
    )
