"""Selects the camera and the position columns of a robot data set (`--calibration`, `--camera`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from maniplvm.data.calibration import Calibration, PositionColumns, read_calibration
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray

OPTIONS = ("calibration", "camera")
"""The options of every format that holds robot episodes."""

StateFeature: TypeAlias = tuple[int, Sequence[str] | None]
"""The length of a state vector, and the names of its numbers, or None if the data set has no names."""

_SEPARATORS = "./"
_MAX_NAMES = 8
_MAX_LENGTH = 300


@dataclass(frozen=True)
class RobotFeatures:
    """The features that a data set declares.

    Attributes:
        source: The path of the data set, for messages.
        cameras: The cameras by key, each with its size as text.
        states: The state vectors by key.
        default_state: The state that holds the position if the calibration names no other.
    """

    source: Path
    cameras: Mapping[str, str]
    states: Mapping[str, StateFeature]
    default_state: str


@dataclass(frozen=True)
class RobotView:
    """One calibrated camera of a data set, and the columns of the end effector's position.

    Attributes:
        calibration: The camera's calibration.
        camera: The camera's key in the data set.
        column: The key of the state vector.
        width: The length of the state vector.
        indices: The indices of x, y and z in the state vector.
    """

    calibration: Calibration
    camera: str
    column: str
    width: int
    indices: tuple[int, ...]

    def positions(self, states: FloatArray) -> FloatArray:
        """The end effector's positions `(T, 3)`, taken from states `(T, N)`."""
        return states[:, list(self.indices)]


def select_view(features: RobotFeatures, calibration: Path | None, camera: str | None) -> RobotView:
    """Select the camera and the position columns that a calibration file describes.

    Args:
        features: The features of the data set.
        calibration: The calibration file, or None.
        camera: A camera's key or the end of its key, or None.

    Raises:
        UserError: there is no calibration, or it names a camera, a state or numbers that the data
            set does not have. The message lists the cameras and states of the data set.
    """
    if calibration is None:
        raise UserError(_missing_calibration(features))
    found = read_calibration(calibration)
    column = found.position.column or features.default_state
    if column not in features.states:
        raise UserError(
            f"{calibration}: 'position': the data set has no state {column!r}; it has "
            f"{_listed(features.states)}"
        )
    state = features.states[column]
    return RobotView(
        calibration=found,
        camera=_camera(features, found, camera),
        column=column,
        width=state[0],
        indices=_indices(found.position, state, f"{calibration}: 'position'", column),
    )


def _missing_calibration(features: RobotFeatures) -> str:
    cameras = [f"{key} ({size})" for key, size in features.cameras.items()]
    states = "; ".join(
        f"{key}: {_describe_state(*state)}" for key, state in features.states.items()
    )
    return (
        f"{features.source}: its episodes hold 3D positions, which need a camera calibration to "
        "become image positions; give --calibration FILE with the camera's 'intrinsics', "
        "'extrinsics' and 'image_size' and with the 'position' (which numbers of a state are the end "
        "effector's x, y, z; joint angles are not enough), as docs/datasets.md describes. "
        f"Cameras: {_listed(cameras)}. States: {states[: 2 * _MAX_LENGTH] or 'none'}"
    )


def _camera(features: RobotFeatures, calibration: Calibration, requested: str | None) -> str:
    names = [name for name in (requested, calibration.camera) if name is not None]
    if not names:
        if len(features.cameras) == 1:
            return next(iter(features.cameras))
        raise UserError(
            f"{features.source}: no camera is selected; give --camera KEY, or 'camera' in "
            f"{calibration.path}; the data set has {_listed(features.cameras)}"
        )
    found = [_find_camera(name, features) for name in names]
    if len(set(found)) > 1:
        raise UserError(
            f"--camera {requested} is not the camera of {calibration.path}, which belongs to "
            f"{calibration.camera}; give that camera's calibration"
        )
    return found[0]


def _find_camera(name: str, features: RobotFeatures) -> str:
    if name in features.cameras:
        return name
    suffixes = tuple(separator + name for separator in _SEPARATORS)
    matching = [key for key in features.cameras if key.endswith(suffixes)]
    if len(matching) != 1:
        error = "ambiguous" if matching else "unknown"
        raise UserError(
            f"{features.source}: {error} camera {name!r}; the data set has "
            f"{_listed(features.cameras)}"
        )
    return matching[0]


def _indices(
    position: PositionColumns, state: StateFeature, place: str, column: str
) -> tuple[int, ...]:
    width, names = state
    if position.indices is not None:
        if max(position.indices) >= width:
            raise UserError(
                f"{place}: {column!r} has {width} numbers, so no index {max(position.indices)}"
            )
        return position.indices
    if names is None:
        raise UserError(
            f"{place} gives names, but the {width} numbers of {column!r} have no names in the data set; "
            "give 'indices' instead"
        )
    requested = position.names or ()
    for name in requested:
        if list(names).count(name) != 1:
            error = "is the name of several numbers" if name in names else "is not a name"
            raise UserError(f"{place}: {name!r} {error} of {column!r}; it has {_listed(names)}")
    return tuple(list(names).index(name) for name in requested)


def _describe_state(width: int, names: Sequence[str] | None) -> str:
    """The length and the names of a state vector, as text."""
    if names is None:
        return f"{width} numbers without names"
    more = ", ..." if len(names) > _MAX_NAMES else ""
    return f"{width} numbers ({', '.join(names[:_MAX_NAMES])}{more})"


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names)[:_MAX_LENGTH] or "none"
