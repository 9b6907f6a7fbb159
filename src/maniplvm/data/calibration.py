"""Calibration files: one camera, its pose on the robot, and where an episode holds positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from maniplvm.config import build, validated
from maniplvm.config.yaml import read_yaml
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.camera import PinholeCamera

CAMERA_FROM_BASE = "camera_from_base"
BASE_FROM_CAMERA = "base_from_camera"
UNITS: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres in one unit of an episode's positions."""

Matrix: TypeAlias = tuple[tuple[float, ...], ...]

_RIGID = 1e-3


@validated
@dataclass(frozen=True)
class PositionColumns:
    """The numbers of an episode that are the end effector's x, y and z.

    Attributes:
        column: The column of the state; None means the format's usual one.
        names: Three names that the data set gives to numbers of that column, or None.
        indices: The three places in the column, from 0, or None; exactly one of both is given.
    """

    column: str | None = None
    names: tuple[str, ...] | None = None
    indices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.names is None) == (self.indices is None):
            raise ValueError("needs either 'names' or 'indices' (of x, y, z)")
        given = self.names or self.indices or ()
        if len(given) != 3 or len(set(given)) < 3:
            key = "names" if self.indices is None else "indices"
            raise ValueError(f"{key}: expected three different values, got {list(given)}")
        if any(index < 0 for index in self.indices or ()):
            raise ValueError(f"indices: must not be negative, got {list(given)}")


@validated
@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera's intrinsics.

    Attributes:
        fx: The focal length along x [px].
        fy: The focal length along y [px].
        cx: The x coordinate of the principal point [px].
        cy: The y coordinate of the principal point [px].
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.fx <= 0 or self.fy <= 0:
            raise ValueError(f"needs focal lengths above 0 px, got {self.fx:g}, {self.fy:g}")


@validated
@dataclass(frozen=True)
class CalibrationSettings:
    """The content of a calibration file.

    Attributes:
        intrinsics: The focal lengths and the principal point, or the 3x3 matrix.
        extrinsics: The 4x4 pose under `camera_from_base` or `base_from_camera`; a matrix alone is
            `camera_from_base`.
        image_size: `[width, height]` of the images that the intrinsics belong to [px].
        position: Where an episode holds the end effector's position.
        camera: The camera's key in the data set; None if there is only one.
        unit: The unit of the positions.
    """

    intrinsics: Intrinsics | Matrix
    extrinsics: Mapping[str, Matrix] | Matrix
    image_size: tuple[int, ...]
    position: PositionColumns
    camera: str | None = None
    unit: Literal["m", "cm", "mm"] = "m"

    def __post_init__(self) -> None:
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(
                f"image_size: expected [width, height] in pixels, got {list(self.image_size)}"
            )


@dataclass(frozen=True)
class Calibration:
    """One camera of a data set.

    Attributes:
        path: The file, for messages.
        camera: The camera's key in the data set; None if there is only one.
        image_size: `(width, height)` of the images that the intrinsics belong to [px].
        pinhole: The camera in the robot's base frame [m].
        position: Where an episode holds the end effector's position.
        metres: Metres in one unit of those positions.
    """

    path: Path
    camera: str | None
    image_size: tuple[int, int]
    pinhole: PinholeCamera
    position: PositionColumns
    metres: float


def read_calibration(path: Path) -> Calibration:
    """Read a YAML or JSON file; `docs/datasets.md` describes its keys and the frames.

    Raises:
        UserError: the file is missing or is neither, a key is unknown or missing, or a value does
            not describe a camera; the line names file and key.
    """
    content = read_yaml(path, "calibration")
    _refuse_distortion(content.get("intrinsics"), path)
    settings = build(CalibrationSettings, content, f"{path}")
    try:
        intrinsics = _intrinsics(settings.intrinsics)
        axes, position = _pose(settings.extrinsics)
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    width, height = settings.image_size
    return Calibration(
        path=path,
        camera=settings.camera,
        image_size=(width, height),
        pinhole=PinholeCamera(
            axes=axes,
            position=position,
            focal=(intrinsics.fx, intrinsics.fy),
            centre=(intrinsics.cx, intrinsics.cy),
        ),
        position=settings.position,
        metres=UNITS[settings.unit],
    )


def _refuse_distortion(intrinsics: object, path: Path) -> None:
    if not isinstance(intrinsics, Mapping):
        return
    found, names = cast("Mapping[Any, Any]", intrinsics), ("fx", "fy", "cx", "cy")
    if set(found) != set(names):
        raise UserError(
            f"{path}: intrinsics: expected the keys {', '.join(names)}; found "
            f"{', '.join(map(str, found))}; images with lens distortion must be undistorted first"
        )


def _intrinsics(value: Intrinsics | Matrix) -> Intrinsics:
    if isinstance(value, Intrinsics):
        return value
    matrix = _matrix(value, 3, "intrinsics")
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if not np.array_equal(matrix, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]):
        raise ValueError(
            "intrinsics: needs the form [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; "
            f"got {matrix.tolist()}"
        )
    try:
        return Intrinsics(float(fx), float(fy), float(cx), float(cy))
    except UserError as error:
        raise ValueError(f"intrinsics: {error}") from error


def _pose(value: Mapping[str, Matrix] | Matrix) -> tuple[FloatArray, FloatArray]:
    """The camera's axes (rows right, down, forward) and its position, in the base frame."""
    direction, rows = CAMERA_FROM_BASE, value
    if isinstance(rows, Mapping):
        if len(rows) != 1 or next(iter(rows)) not in (CAMERA_FROM_BASE, BASE_FROM_CAMERA):
            raise ValueError(
                f"extrinsics: needs a 4x4 matrix under {CAMERA_FROM_BASE!r} or "
                f"{BASE_FROM_CAMERA!r}; found {', '.join(rows)[:200] or 'nothing'}"
            )
        ((direction, rows),) = rows.items()
    matrix = _matrix(rows, 4, "extrinsics")
    rotation, shift = matrix[:3, :3], matrix[:3, 3]
    is_rigid = (
        np.array_equal(matrix[3], [0, 0, 0, 1])
        and np.abs(rotation @ rotation.T - np.eye(3)).max() < _RIGID
        and np.linalg.det(rotation) > 0
    )
    if not is_rigid:
        raise ValueError(
            "extrinsics: needs a rotation and a translation: three orthonormal rows (right-handed, "
            f"to {_RIGID:g}) with the translation in the last column, then 0, 0, 0, 1"
        )
    if direction == CAMERA_FROM_BASE:
        return rotation, -rotation.T @ shift
    return rotation.T.copy(), shift


def _matrix(rows: Matrix, side: int, key: str) -> FloatArray:
    if len(rows) != side:
        raise ValueError(f"{key}: needs a {side}x{side} matrix as {side} rows, got {len(rows)}")
    for index, row in enumerate(rows):
        if len(row) != side:
            raise ValueError(f"{key}[{index}]: needs {side} numbers, got {len(row)}")
    return np.array(rows, dtype=np.float64)
