"""Decodes `tf.train.Example` from its wire format: named lists of byte strings and numbers.

Example  { Features features = 1; }          Feature { oneof BytesList bytes_list = 1,
Features { map<string, Feature> feature = 1; }         FloatList float_list = 2,
every list: repeated value = 1                          Int64List int64_list = 3; }
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.record_errors import ErrorCode, RecordError

Feature: TypeAlias = memoryview
"""One feature of an example, not yet decoded."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_LIST_NAMES = {1: "byte strings", 2: "floats", 3: "integers"}


def parse_example(data: bytes) -> Mapping[str, Feature]:
    """The features of a serialised example by name. Of equal names, the last one is used.

    Raises:
        RecordError: the bytes are not such a message.
    """
    found = dict[str, Feature]()
    for features in _messages(memoryview(data), 1):
        for entry in _messages(features, 1):
            name, value = b"", memoryview(b"")
            for number, part in _fields(entry):
                if number == 1 and isinstance(part, memoryview):
                    name = bytes(part)
                elif number == 2 and isinstance(part, memoryview):
                    value = part
            found[_text(name)] = value
    return found


def byte_strings(feature: Feature, name: str) -> list[memoryview]:
    """The byte strings of a feature. The list is empty if the feature is empty.

    Raises:
        RecordError: the feature holds numbers, or is damaged.
    """
    found = list[memoryview]()
    for content in _lists(feature, 1, name):
        found.extend(_messages(content, 1))
    return found


def floats(feature: Feature, name: str) -> NDArray[np.float32]:
    """The floats of a feature, `(N,)`.

    Raises:
        RecordError: the feature holds another type, or is damaged.
    """
    parts = list[memoryview]()
    for content in _lists(feature, 2, name):
        for number, part in _fields(content):
            if number == 1 and isinstance(part, memoryview) and len(part) % 4 == 0:
                parts.append(part)
            elif number == 1:
                raise _damaged(f"{name!r} holds floats of the wrong length")
    return np.frombuffer(b"".join(parts), dtype="<f4").astype(np.float32)


def _lists(feature: Feature, expected: int, name: str) -> Iterator[memoryview]:
    for number, part in _fields(feature):
        if isinstance(part, memoryview) and not len(part):
            continue
        if number != expected:
            held = _LIST_NAMES.get(number, "something unknown")
            raise RecordError(
                ErrorCode.WRONG_TYPE, f"{name!r} needs {_LIST_NAMES[expected]}, but holds {held}"
            )
        if isinstance(part, memoryview):
            yield part


def _messages(data: memoryview, expected: int) -> Iterator[memoryview]:
    for number, part in _fields(data):
        if number == expected:
            if not isinstance(part, memoryview):
                raise _damaged(f"field {number} is a number")
            yield part


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield field numbers with their content: an integer for a varint, or else bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise _damaged(f"wire type {kind}")
        if length > len(data) - at:
            raise _damaged("a field reaches beyond its end")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + index + 1
    raise _damaged("a number does not end")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _damaged("a feature's name is not UTF-8") from error


def _damaged(reason: str) -> RecordError:
    return RecordError(ErrorCode.DAMAGED_FILE, f"the record is not a tf.train.Example ({reason})")
