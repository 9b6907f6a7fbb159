"""Reads one numeric matrix from a MATLAB file of version 5 (`save -v6`, `-v7`).

Only the parts of the format that a numeric matrix needs are read. Every length is checked and every
decompression is bounded. SciPy's reader has no such bound: a file of 1 MB that claims a 3 x 4 matrix
can make it allocate 1 GB. Source: "MAT-File Format", The MathWorks.
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

from maniplvm.data.record_errors import ErrorCode, RecordError

MAX_FILE_BYTES = 64 * 2**20
"""The largest file that is read, in bytes."""

MAX_VARIABLE_BYTES = 64 * 2**20
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
_NUMERIC_CLASSES = range(6, 16)  # double, single, and integers of 8 to 64 bits
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse matrix"}
_COMPLEX = 0x0800
_MAX_AXES = 8


def read_matrix(path: Path, name: str) -> NDArray[Any]:
    """Read the matrix of this name, in the number type in which it is stored.

    Raises:
        RecordError: the file does not exist, is too large, is damaged, or is not a MATLAB file of
            version 5; it lacks the variable (the existing ones are listed); or the variable is not
            a matrix of real numbers.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise RecordError(ErrorCode.MISSING_FILE, f"{path} does not exist") from error
    except OSError as error:
        raise RecordError(
            ErrorCode.DAMAGED_FILE, f"{path} cannot be read ({error.strerror})"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise RecordError(
            ErrorCode.DAMAGED_FILE, f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB"
        )
    try:
        return _read_variable(data, name)
    except _MatlabError as error:
        raise RecordError(error.code, f"{path} {error}") from error


class _MatlabError(Exception):
    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _damaged(reason: str) -> NoReturn:
    raise _MatlabError(
        ErrorCode.DAMAGED_FILE, f"is not a readable MATLAB file ({reason}); download it again"
    )


@dataclass(frozen=True)
class _Element:
    kind: int
    data: memoryview


def _read_variable(data: bytes, name: str) -> NDArray[Any]:
    order = _byte_order(data)
    found = list[str]()
    for element in _elements(memoryview(data)[_HEADER:], order):
        if element.kind == _COMPRESSED:
            element = _decompress(element.data, order)
        if element.kind != _MATRIX:
            continue
        parts = _elements(element.data, order)
        flags, axes, label = (_next(parts) for _ in range(3))
        variable = bytes(label.data).decode("ascii", "replace")
        if variable == name:
            return _matrix(flags, axes, parts, order, name)
        found.append(variable)
    existing = ", ".join(map(repr, found[:5])) or "nothing"
    raise _MatlabError(ErrorCode.MISSING_KEY, f"has no variable {name!r}; found {existing[:200]}")


def _byte_order(data: bytes) -> str:
    if data.startswith(b"MATLAB 7.3"):
        raise _MatlabError(
            ErrorCode.DAMAGED_FILE, "is a MATLAB file of version 7.3 (HDF5); save it with -v7"
        )
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(f"{order}H", data[124:126])[0] != _VERSION:
        _damaged("its first 128 bytes are not those of version 5")
    return order


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """Yield the elements in order."""
    start = 0
    while start < len(data):
        if len(data) - start < 8:
            _damaged("it ends inside an element")
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
            _damaged("it ends inside an element")
        yield _Element(kind, data[begin : begin + size])
        start = end


def _next(parts: Iterator[_Element]) -> _Element:
    part = next(parts, None)
    if part is None:
        _damaged("a variable ends early")
    return part


def _decompress(data: memoryview, order: str) -> _Element:
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(data, MAX_VARIABLE_BYTES)
    except zlib.error:
        _damaged("a variable does not decompress")
    if decompressor.unconsumed_tail:
        _damaged(f"a variable of more than {MAX_VARIABLE_BYTES // 2**20} MiB")
    return _next(_elements(memoryview(content), order))


def _matrix(
    flags: _Element, axes: _Element, parts: Iterator[_Element], order: str, name: str
) -> NDArray[Any]:
    kind = int(_values(flags, order)[0]) if len(flags.data) >= 4 else 0
    if kind & 0xFF not in _NUMERIC_CLASSES or kind & _COMPLEX:
        what = "complex" if kind & _COMPLEX else _CLASSES.get(kind & 0xFF, "something else")
        raise _MatlabError(
            ErrorCode.WRONG_TYPE, f"holds {name!r} as {what}; expected a matrix of real numbers"
        )
    shape = tuple(int(side) for side in _values(axes, order))
    if not 2 <= len(shape) <= _MAX_AXES or min(shape) < 0:
        _damaged(f"{name!r} has the shape {shape}")
    values = _values(_next(parts), order)
    if values.size != np.prod(shape, dtype=object):
        _damaged(f"{name!r} has {values.size} values for the shape {shape}")
    return values.reshape(shape, order="F")


def _values(element: _Element, order: str) -> NDArray[Any]:
    code = _NUMBERS.get(element.kind)
    if code is None:
        _damaged(f"unknown number type {element.kind}")
    kind = np.dtype(f"{order}{code}")
    if len(element.data) % kind.itemsize:
        _damaged("an incomplete number")
    return np.frombuffer(element.data, kind)
