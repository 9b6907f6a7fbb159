"""Converts a robot episode (states and one image) to a trajectory sample, for LeRobot and RLDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.data.calibration import Calibration
from maniplvm.data.images import EncodedImage
from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.data.validation import OVERHANG, trace_target
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.simplify import simplify
from maniplvm.tasks.parsing.reading import POINT_RANGE
from maniplvm.tasks.sample import Sample, Task, TraceTarget

MIN_POINTS, MAX_POINTS = POINT_RANGE
MIN_EXTENT = 1.0
"""The smallest extent of a path in the image, in x or in y [px]."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One recorded episode, read from a source.

    Attributes:
        id: The sample's id.
        instruction: The instruction that the robot was given.
        image: The camera image of the first frame.
        positions: `(T, 3)` positions of the end effector in the robot's base frame, in the unit of
            the data set.
        split: The sample's split.
        category: The group of the sample in result tables, or None.
        provenance: The sample's origin; it holds at least `format`, `file` and `place`.
    """

    id: str
    instruction: str
    image: EncodedImage
    positions: FloatArray
    split: str
    category: str | None
    provenance: Mapping[str, Any]


def to_sample(episode: Episode, calibration: Calibration) -> Sample:
    """Convert an episode to a trajectory sample: the first image and the path that follows.

    Raises:
        RecordError: the image and the calibration have different sizes, or the path is not a valid
            trace (see `project_path`).
    """
    size = episode.image.size
    if size != calibration.image_size:
        raise RecordError(ErrorCode.SIZE_MISMATCH, _size_error(size, calibration))
    target, frames = project_path(episode.positions, calibration)
    return Sample(
        id=episode.id,
        task=Task.TRAJECTORY,
        instruction=episode.instruction,
        image_size=size,
        target=target,
        image=episode.image.data,
        split=episode.split,
        category=episode.category,
        provenance={**episode.provenance, "frames": frames, "length": len(episode.positions)},
    )


def project_path(positions: FloatArray, calibration: Calibration) -> tuple[TraceTarget, list[int]]:
    """Project an end effector's path to a trace of 3 to 10 points in the image.

    The path is simplified in 3D with the rule and the tolerance of the simulator's traces, and then
    projected. Straight lines stay straight.

    Args:
        positions: `(T, 3)` in the calibration's unit, in the robot's base frame.
        calibration: The camera.

    Returns:
        The trace [px], and the indices of the frames that its points come from.

    Raises:
        RecordError: there are too few frames, a position is not finite, behind the camera or
            outside the image, or the path does not move in the image.
    """
    if len(positions) < MIN_POINTS:
        noun = "frame" if len(positions) == 1 else "frames"
        raise RecordError(
            ErrorCode.TOO_FEW_POINTS, f"{len(positions)} {noun}; a path needs at least {MIN_POINTS}"
        )
    is_bad = ~np.isfinite(positions).all(axis=1)
    if is_bad.any():
        frame = int(is_bad.argmax())
        raise RecordError(
            ErrorCode.NOT_FINITE,
            f"the end effector's position at frame {frame} is {positions[frame].tolist()}",
        )
    path = positions * calibration.metres
    pixels, depth = calibration.pinhole.project(path)
    _require_in_view(path, pixels, depth, calibration)
    if np.ptp(pixels, axis=0).max() < MIN_EXTENT:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"the end effector moves less than {MIN_EXTENT:g} px in the image during "
            f"{len(path)} frames; check 'position' in {calibration.path}",
        )
    frames = simplify(path, max_points=MAX_POINTS, min_points=MIN_POINTS)
    return trace_target(pixels[frames].tolist(), calibration.image_size, "the path"), frames


def _require_in_view(
    path: FloatArray, pixels: FloatArray, depth: FloatArray, calibration: Calibration
) -> None:
    limits = np.array(calibration.image_size, dtype=np.float64)
    is_behind = depth <= 0
    is_out = is_behind | (np.maximum(-pixels, pixels - limits) > OVERHANG).any(axis=1)
    if not is_out.any():
        return
    frame = int(is_out.argmax())
    x, y = pixels[frame]
    location = "behind the camera" if is_behind[frame] else f"at ({x:.0f}, {y:.0f}) px"
    position = ", ".join(f"{value:.3f}" for value in path[frame])
    width, height = calibration.image_size
    raise RecordError(
        ErrorCode.OUTSIDE_IMAGE,
        f"at frame {frame} of {len(path)} the end effector, ({position}) m, is {location} of an image of "
        f"{width}x{height} px ({int(is_out.sum())} such frames); if all episodes are, check the "
        f"frames and units in {calibration.path}",
    )


def _size_error(size: tuple[int, int], calibration: Calibration) -> str:
    (width, height), (stated_width, stated_height) = size, calibration.image_size
    return (
        f"the image is {width}x{height} px, but {calibration.path} belongs to images of "
        f"{stated_width}x{stated_height} px; if they were only resized, multiply fx and cx by "
        f"{width / stated_width:.6g}, fy and cy by {height / stated_height:.6g}, and state "
        f"image_size: [{width}, {height}]"
    )
