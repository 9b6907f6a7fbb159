"""One numeric matrix out of a MATLAB file of version 5 (`save -v6`, `-v7`), as labels are stored.

Only the layout that such a matrix needs is read, with every length checked and every decompression
bounded: a hostile file costs a refusal. Source: "MAT-File Format", The MathWorks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.record_errors import Cause, RecordError

MAX_FILE = 64 * 2**20
"""The largest file that is read, in bytes."""

MAX_VARIABLE = 64 * 2**20
"""The largest variable that is decompressed, in bytes."""

_HEADER = 128
_VERSION = 0x0100
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC_CLASSES = range(6, 16)  # double, single, and whole numbers of 8 to 64 bits
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse matrix"}
_COMPLEX = 0x0800
_MOST_AXES = 8


def read_matrix(path: Path, name: str) -> NDArray[Any]:
    """The matrix that a file holds under a name, in the number type in which it is stored.

    Raises:
        RecordError: no such file, one that is too large, no MATLAB file of version 5, truncated
            or damaged; no variable of this name (those that are there are listed); or one that is
            no matrix of real numbers.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise RecordError(Cause.MISSING_FILE, f"{path} is no file") from error
    except OSError as error:
        raise RecordError(
            Cause.DAMAGED_FILE, f"{path} cannot be read ({error.strerror})"
        ) from error
    if len(data) > MAX_FILE:
        raise RecordError(Cause.DAMAGED_FILE, f"{path} is larger than {MAX_FILE // 2**20} MiB")
    try:
        return _variable(data, name)
    except _MatlabError as fault:
        raise RecordError(fault.cause, f"{path} {fault}") from fault


class _MatlabError(Exception):
    def __init__(self, cause: Cause, words: str) -> None:
        super().__init__(words)
        self.cause = cause


def _damaged(why: str) -> NoReturn:
    raise _MatlabError(
        Cause.DAMAGED_FILE, f"is no MATLAB file that can be read ({why}); fetch it again"
    )


@dataclass(frozen=True)
class _Element:
    kind: int
    data: memoryview


def _variable(data: bytes, name: str) -> NDArray[Any]:
    order = _byte_order(data)
    found = list[str]()
    for element in _elements(memoryview(data)[_HEADER:], order):
        if element.kind == _COMPRESSED:
            element = _inflated(element.data, order)
        if element.kind != _MATRIX:
            continue
        parts = _elements(element.data, order)
        flags, axes, label = (_next(parts) for _ in range(3))
        own = bytes(label.data).decode("ascii", "replace")
        if own == name:
            return _matrix(flags, axes, parts, order, name)
        found.append(own)
    there = ", ".join(map(repr, found[:5])) or "nothing"
    raise _MatlabError(Cause.MISSING_KEY, f"has no variable {name!r}; found {there[:200]}")


def _byte_order(data: bytes) -> str:
    if data.startswith(b"MATLAB 7.3"):
        raise _MatlabError(
            Cause.DAMAGED_FILE, "is a MATLAB file of version 7.3 (HDF5); save it with -v7"
        )
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(f"{order}H", data[124:126])[0] != _VERSION:
        _damaged("its first 128 bytes are not those of version 5")
    return order


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """The elements one after the other, as (kind, bytes)."""
    start = 0
    while start < len(data):
        if len(data) - start < 8:
            _damaged("it ends within an element")
        first, second = struct.unpack(f"{order}II", data[start : start + 8])
        if first >> 16:  # small: kind, length and up to four bytes in one tag
            kind, size, begin, end = first & 0xFFFF, first >> 16, start + 4, start + 8
            if size > 4:
                _damaged("a small element of more than 4 bytes")
        else:
            kind, size, begin = first, second, start + 8
            padding = 0 if kind == _COMPRESSED else -size % 8
            end = begin + size + padding
        if begin + size > len(data):
            _damaged("it ends within an element")
        yield _Element(kind, data[begin : begin + size])
        start = end


def _next(parts: Iterator[_Element]) -> _Element:
    part = next(parts, None)
    if part is None:
        _damaged("a variable ends early")
    return part


def _inflated(data: memoryview, order: str) -> _Element:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(data, MAX_VARIABLE)
    except zlib.error:
        _damaged("a variable does not decompress")
    if inflater.unconsumed_tail:
        _damaged(f"a variable of more than {MAX_VARIABLE // 2**20} MiB")
    return _next(_elements(memoryview(content), order))


def _matrix(
    flags: _Element, axes: _Element, parts: Iterator[_Element], order: str, name: str
) -> NDArray[Any]:
    kind = int(_values(flags, order)[0]) if len(flags.data) >= 4 else 0
    if kind & 0xFF not in _NUMERIC_CLASSES or kind & _COMPLEX:
        what = "complex" if kind & _COMPLEX else _CLASSES.get(kind & 0xFF, "something else")
        raise _MatlabError(
            Cause.WRONG_TYPE, f"holds {name!r} as {what}; a matrix of real numbers is needed"
        )
    shape = tuple(int(side) for side in _values(axes, order))
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
        _damaged(f"{name!r} has the shape {shape}")
    values = _values(_next(parts), order)
    if values.size != np.prod(shape, dtype=object):
        _damaged(f"{name!r} has {values.size} values for the shape {shape}")
    return values.reshape(shape, order="F")


def _values(element: _Element, order: str) -> NDArray[Any]:
    code = _NUMBERS.get(element.kind)
    if code is None:
        _damaged(f"numbers of the unknown kind {element.kind}")
    kind = np.dtype(f"{order}{code}")
    if len(element.data) % kind.itemsize:
        _damaged("numbers that are cut off")
    return np.frombuffer(element.data, kind)
