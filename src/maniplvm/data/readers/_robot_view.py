"""What `--calibration` and `--camera` mean for one data set of robot episodes."""

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

State: TypeAlias = tuple[int, Sequence[str] | None]
"""How many numbers a column of states has a frame, and their names where the data set gives any."""

_SEPARATORS = "./"
_MOST_NAMES = 8
_LONGEST = 300


@dataclass(frozen=True)
class Recording:
    """What a data set says that it holds.

    Attributes:
        source: Where it is, for messages.
        cameras: Its cameras by key, with their size in words.
        states: Its columns of numbers by key.
        usual_state: The column that holds the position unless the calibration names another.
    """

    source: Path
    cameras: Mapping[str, str]
    states: Mapping[str, State]
    usual_state: str


@dataclass(frozen=True)
class RobotView:
    """One camera of a data set, and where its episodes hold the end effector's position.

    Attributes:
        calibration: The camera.
        camera: Its key in the data set.
        column: The key of the states.
        width: How many numbers they have a frame.
        indices: Which of them are x, y and z.
    """

    calibration: Calibration
    camera: str
    column: str
    width: int
    indices: tuple[int, ...]

    def positions(self, states: FloatArray) -> FloatArray:
        """The end effector's positions `(T, 3)` in states `(T, N)`."""
        return states[:, list(self.indices)]


def choose_view(recording: Recording, calibration: Path | None, camera: str | None) -> RobotView:
    """Find what a calibration file and a camera's name mean in a data set.

    Args:
        recording: The data set.
        calibration: The file, or None.
        camera: A camera's key or the end of its key, or None.

    Raises:
        UserError: there is no calibration (what is missing is said, with the data set's cameras and
            columns), or it names a camera, a column or numbers that the data set has not got.
    """
    if calibration is None:
        raise UserError(_missing(recording))
    found = read_calibration(calibration)
    column = found.position.column or recording.usual_state
    if column not in recording.states:
        raise UserError(
            f"{calibration}: 'position': the data set has no column of numbers {column!r}; it has "
            f"{_listed(recording.states)}"
        )
    state = recording.states[column]
    return RobotView(
        calibration=found,
        camera=_camera(recording, found, camera),
        column=column,
        width=state[0],
        indices=_indices(found.position, state, f"{calibration}: 'position'", column),
    )


def _missing(recording: Recording) -> str:
    cameras = [f"{key} ({size})" for key, size in recording.cameras.items()]
    states = "; ".join(f"{key}: {_told(*state)}" for key, state in recording.states.items())
    return (
        f"{recording.source}: its episodes say where the robot is in space, not where that is in the "
        "image; give --calibration FILE with the camera's 'intrinsics', 'extrinsics' and "
        "'image_size' and with the 'position' (which numbers of a state are the end effector's x, y, "
        "z; joint angles are not enough), as docs/datasets.md describes. "
        f"Cameras: {_listed(cameras)}. States: {states[: 2 * _LONGEST] or 'none'}"
    )


def _camera(recording: Recording, calibration: Calibration, wanted: str | None) -> str:
    names = [name for name in (wanted, calibration.camera) if name is not None]
    if not names:
        if len(recording.cameras) == 1:
            return next(iter(recording.cameras))
        raise UserError(
            f"{recording.source}: which camera? say --camera KEY, or 'camera' in "
            f"{calibration.path}; the data set has {_listed(recording.cameras)}"
        )
    found = [_camera_named(name, recording) for name in names]
    if len(set(found)) > 1:
        raise UserError(
            f"--camera {wanted} is not the camera of {calibration.path}, which belongs to "
            f"{calibration.camera}; give that camera's calibration"
        )
    return found[0]


def _camera_named(name: str, recording: Recording) -> str:
    if name in recording.cameras:
        return name
    tails = tuple(mark + name for mark in _SEPARATORS)
    endings = [key for key in recording.cameras if key.endswith(tails)]
    if len(endings) != 1:
        problem = "ambiguous" if endings else "unknown"
        raise UserError(
            f"{recording.source}: {problem} camera {name!r}; the data set has "
            f"{_listed(recording.cameras)}"
        )
    return endings[0]


def _indices(position: PositionColumns, state: State, what: str, column: str) -> tuple[int, ...]:
    width, names = state
    if position.indices is not None:
        if max(position.indices) >= width:
            raise UserError(
                f"{what}: {column!r} has {width} numbers, so no index {max(position.indices)}"
            )
        return position.indices
    if names is None:
        raise UserError(
            f"{what} gives names, but the data set gives none to the {width} numbers of {column!r}; "
            "give 'indices' instead"
        )
    wanted = position.names or ()
    for name in wanted:
        if list(names).count(name) != 1:
            problem = "names several numbers" if name in names else "is no name"
            raise UserError(f"{what}: {name!r} {problem} of {column!r}; it has {_listed(names)}")
    return tuple(list(names).index(name) for name in wanted)


def _told(width: int, names: Sequence[str] | None) -> str:
    """A column of numbers in words."""
    if names is None:
        return f"{width} numbers without names"
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return f"{width} numbers ({', '.join(names[:_MOST_NAMES])}{more})"


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names)[:_LONGEST] or "none"
