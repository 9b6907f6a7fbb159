"""A calibration file: what a camera sees of a robot, and where the robot says its hand is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from maniplvm.data.record_errors import RecordError
from maniplvm.data.validation import as_numbers, short_repr
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.camera import Pinhole

CAMERA_FROM_BASE = "camera_from_base"
BASE_FROM_CAMERA = "base_from_camera"
UNITS: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres in one unit of an episode's positions."""

_REQUIRED = ("intrinsics", "extrinsics", "image_size", "position")
_KEYS = (*_REQUIRED, "camera", "unit")
_RIGID = 1e-3
_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")


@dataclass(frozen=True)
class PositionColumns:
    """Which numbers of an episode are the end effector's x, y and z.

    Attributes:
        column: The column of the state; None: the format's usual one.
        names: Three names that the data set gives to numbers of that column, or None.
        indices: Their three places in the column, from 0, or None; exactly one of both is given.
    """

    column: str | None
    names: tuple[str, ...] | None
    indices: tuple[int, ...] | None


@dataclass(frozen=True)
class Calibration:
    """One camera of a data set.

    Attributes:
        path: The file, for messages.
        camera: The camera's key in the data set; None where there is only one.
        image_size: `(width, height)` of the images that the intrinsics belong to [px].
        pinhole: The camera in the robot's base frame [m].
        position: Where an episode holds the end effector's position.
        metres: Metres in one unit of those positions.
    """

    path: Path
    camera: str | None
    image_size: tuple[int, int]
    pinhole: Pinhole
    position: PositionColumns
    metres: float


def read_calibration(path: Path) -> Calibration:
    """Read a YAML or JSON file; `docs/datasets.md` describes its keys and the frames.

    Raises:
        UserError: the file is missing or is neither, a key is unknown or missing, or a value does
            not make a camera; the line names file and key.
    """
    content = _mapping(_parsed(path), f"{path}")
    for key in content:
        if key not in _KEYS:
            raise UserError(f"{path}: unknown key {key!r}; valid keys are {', '.join(_KEYS)}")
    missing = [key for key in _REQUIRED if content.get(key) is None]
    if missing:
        raise UserError(f"{path}: no {', '.join(map(repr, missing))}; see docs/datasets.md")
    camera, unit = content.get("camera"), content.get("unit", "m")
    if camera is not None and not isinstance(camera, str):
        raise UserError(f"{path}: 'camera' needs a text, got {short_repr(camera)}")
    if unit not in UNITS:
        raise UserError(f"{path}: unknown unit {unit!r}; choose from {', '.join(UNITS)}")
    focal, centre = _intrinsics(content["intrinsics"], path)
    axes, position = _pose(content["extrinsics"], path)
    return Calibration(
        path=path,
        camera=camera,
        image_size=_size(content["image_size"], path),
        pinhole=Pinhole(axes=axes, position=position, focal=focal, centre=centre),
        position=_position(content["position"], path),
        metres=UNITS[unit],
    )


def _parsed(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: the calibration cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: neither YAML nor JSON ({reason[:200]})") from error


def _intrinsics(value: object, path: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    if isinstance(value, Mapping):
        found = _mapping(cast("object", value), f"{path}: 'intrinsics'")
        names = ("fx", "fy", "cx", "cy")
        if set(found) != set(names):
            raise UserError(
                f"{path}: 'intrinsics' needs {', '.join(names)}; found {', '.join(found)}; "
                "images with lens distortion must be undistorted first"
            )
        fx, fy, cx, cy = _numbers([found[name] for name in names], 4, f"{path}: 'intrinsics'")
    else:
        matrix = _matrix(value, 3, f"{path}: 'intrinsics'")
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
        if not np.array_equal(matrix, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]):
            raise UserError(
                f"{path}: 'intrinsics' needs the form [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; "
                f"got {matrix.tolist()}"
            )
    if fx <= 0 or fy <= 0:
        raise UserError(f"{path}: 'intrinsics' needs focal lengths above 0 px, got {fx:g}, {fy:g}")
    return (float(fx), float(fy)), (float(cx), float(cy))


def _pose(value: object, path: Path) -> tuple[FloatArray, FloatArray]:
    """The camera's axes (rows right, down, forward) and its position, in the base frame."""
    direction, what = CAMERA_FROM_BASE, f"{path}: 'extrinsics'"
    if isinstance(value, Mapping):
        found = _mapping(cast("object", value), what)
        if len(found) != 1 or next(iter(found)) not in (CAMERA_FROM_BASE, BASE_FROM_CAMERA):
            raise UserError(
                f"{what} needs a 4x4 matrix under {CAMERA_FROM_BASE!r} or {BASE_FROM_CAMERA!r}; "
                f"found {', '.join(found)[:200] or 'nothing'}"
            )
        ((direction, value),) = found.items()
    matrix = _matrix(value, 4, what)
    rotation, shift = matrix[:3, :3], matrix[:3, 3]
    is_rigid = (
        np.array_equal(matrix[3], [0, 0, 0, 1])
        and np.abs(rotation @ rotation.T - np.eye(3)).max() < _RIGID
        and np.linalg.det(rotation) > 0
    )
    if not is_rigid:
        raise UserError(
            f"{what} needs a rotation and a translation: three orthonormal rows (right-handed, to "
            f"{_RIGID:g}) with the shift in the last column, then 0, 0, 0, 1"
        )
    if direction == CAMERA_FROM_BASE:
        return rotation, -rotation.T @ shift
    return rotation.T.copy(), shift


def _size(value: object, path: Path) -> tuple[int, int]:
    width, height = _numbers(value, 2, f"{path}: 'image_size' [width, height]")
    if width < 1 or height < 1 or width % 1 or height % 1:
        raise UserError(f"{path}: 'image_size' needs whole pixels, got {width:g}, {height:g}")
    return int(width), int(height)


def _position(value: object, path: Path) -> PositionColumns:
    what = f"{path}: 'position'"
    found = _mapping(value, what)
    unknown = [key for key in found if key not in ("column", "names", "indices")]
    if unknown or ("names" in found) == ("indices" in found):
        raise UserError(
            f"{what} needs either 'names' or 'indices' (of x, y, z), and optionally 'column'; "
            f"found {', '.join(map(repr, found)) or 'nothing'}"
        )
    column = found.get("column")
    if column is not None and not isinstance(column, str):
        raise UserError(f"{what}: 'column' needs a text, got {short_repr(column)}")
    if "indices" in found:
        indices = _numbers(found["indices"], 3, f"{what}: 'indices' of x, y, z")
        if any(index < 0 or index % 1 for index in indices) or len(set(indices)) < 3:
            raise UserError(f"{what}: 'indices' needs three different whole numbers from 0")
        return PositionColumns(column, None, tuple(int(index) for index in indices))
    names: object = found["names"]
    listed = _listed(names) or []
    texts = tuple(name for name in listed if isinstance(name, str))
    if len(texts) != 3 or len(listed) != 3 or len(set(texts)) < 3:
        raise UserError(
            f"{what}: 'names' needs three different texts, those of x, y and z, got {short_repr(names)}"
        )
    return PositionColumns(column, texts, None)


def _mapping(value: object, what: str) -> dict[str, Any]:
    found = cast("dict[object, Any]", value) if isinstance(value, dict) else None
    if found is None or not all(isinstance(key, str) for key in found):
        raise UserError(
            f"{what}: expected keys with values, got {short_repr(cast('object', value))}"
        )
    return {str(key): content for key, content in found.items()}


def _matrix(value: object, side: int, what: str) -> FloatArray:
    rows = _listed(value) or []
    if len(rows) != side:
        raise UserError(
            f"{what} needs a {side}x{side} matrix as {side} rows, got {short_repr(value)}"
        )
    return np.array([_numbers(row, side, f"{what}, row {i}") for i, row in enumerate(rows)])


def _numbers(value: object, count: int, what: str) -> Sequence[float]:
    listed = _listed(value)
    try:
        found = as_numbers(value if listed is None else [_number(part) for part in listed], what)
    except RecordError as error:
        raise UserError(error.detail) from error
    if len(found) != count:
        raise UserError(f"{what} needs {count} numbers, got {len(found)}")
    return found


def _number(value: object) -> object:
    """YAML 1.1 reads `1e-05`, as NumPy prints it, as a text."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _listed(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None
