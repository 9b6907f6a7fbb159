"""`tf.train.Example`, decoded from its wire format: a table of byte strings and numbers.

Example  { Features features = 1; }          Feature { oneof BytesList bytes_list = 1,
Features { map<string, Feature> feature = 1; }         FloatList float_list = 2,
every list: repeated value = 1                          Int64List int64_list = 3; }
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.record_errors import Cause, RecordError

Feature: TypeAlias = memoryview
"""One entry of an example, not decoded yet."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_LIST_NAMES = {1: "byte strings", 2: "floats", 3: "whole numbers"}


def parse_example(data: bytes) -> Mapping[str, Feature]:
    """The features of a serialised example by name; the last of equal names wins.

    Raises:
        RecordError: the bytes are no such message.
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
    """The byte strings that a feature holds; empty where it holds nothing.

    Raises:
        RecordError: it holds numbers, or is damaged.
    """
    found = list[memoryview]()
    for content in _lists(feature, 1, name):
        found.extend(_messages(content, 1))
    return found


def floats(feature: Feature, name: str) -> NDArray[np.float32]:
    """The floats that a feature holds, `(N,)`.

    Raises:
        RecordError: it holds something else, or is damaged.
    """
    parts = list[memoryview]()
    for content in _lists(feature, 2, name):
        for number, part in _fields(content):
            if number == 1 and isinstance(part, memoryview) and len(part) % 4 == 0:
                parts.append(part)
            elif number == 1:
                raise _broken(f"{name!r} holds floats of a wrong length")
    return np.frombuffer(b"".join(parts), dtype="<f4").astype(np.float32)


def whole_numbers(feature: Feature, name: str) -> list[int]:
    """The whole numbers that a feature holds; truth values are 0 and 1.

    Raises:
        RecordError: it holds something else, or is damaged.
    """
    found = list[int]()
    for content in _lists(feature, 3, name):
        for number, part in _fields(content):
            if number == 1:
                found.extend([part] if isinstance(part, int) else _varints(part))
    return [value - (1 << 64) if value >> 63 else value for value in found]


def _lists(feature: Feature, wanted: int, name: str) -> Iterator[memoryview]:
    for number, part in _fields(feature):
        if isinstance(part, memoryview) and not len(part):
            continue
        if number != wanted:
            held = _LIST_NAMES.get(number, "something unknown")
            raise RecordError(
                Cause.WRONG_TYPE, f"{name!r} needs {_LIST_NAMES[wanted]}, but holds {held}"
            )
        if isinstance(part, memoryview):
            yield part


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, part in _fields(data):
        if number == wanted:
            if not isinstance(part, memoryview):
                raise _broken(f"field {number} is a number")
            yield part


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Field numbers with their content: a number for a varint, else bytes."""
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
            raise _broken(f"wire type {kind}")
        if length > len(data) - at:
            raise _broken("a field reaches beyond its end")
        yield number, data[at : at + length]
        at += length


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise _broken("a number does not end")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _broken("a feature's name is not UTF-8") from error


def _broken(reason: str) -> RecordError:
    return RecordError(Cause.DAMAGED_FILE, f"the record is no tf.train.Example ({reason})")
