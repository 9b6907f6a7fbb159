"""What LeRobot and RLDS share: from an episode's states and one image to a trajectory sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.data.calibration import Calibration
from maniplvm.data.images import EncodedImage
from maniplvm.data.record_errors import Cause, RecordError
from maniplvm.data.validation import OVERHANG, trace_target
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.simplify import simplify
from maniplvm.tasks.parsing.reading import POINT_RANGE
from maniplvm.tasks.sample import Sample, Task, TraceTarget

FEWEST, MOST = POINT_RANGE
LEAST_MOVE = 1.0
"""A path that stays within this square in the image shows nothing to follow [px]."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One recorded episode, read from a source.

    Attributes:
        id: The sample's id.
        instruction: What the robot was asked to do.
        image: What the camera saw at the first frame.
        positions: `(T, 3)` the end effector's, in the data set's own unit and the base frame.
        split: The sample's split.
        category: What results are grouped by, or None.
        provenance: Where it comes from; holds at least `format`, `file` and `place`.
    """

    id: str
    instruction: str
    image: EncodedImage
    positions: FloatArray
    split: str
    category: str | None
    provenance: Mapping[str, Any]


def sample_of(episode: Episode, calibration: Calibration) -> Sample:
    """The trajectory sample of an episode: its first image and the path still to come.

    Raises:
        RecordError: the image has another size than the calibration's, or the path cannot be a
            trace (see `trace_of`).
    """
    size = episode.image.size
    if size != calibration.image_size:
        raise RecordError(Cause.SIZE_MISMATCH, _other_size(size, calibration))
    target, frames = trace_of(episode.positions, calibration)
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


def trace_of(positions: FloatArray, calibration: Calibration) -> tuple[TraceTarget, list[int]]:
    """An end effector's path as 3 to 10 points of the image.

    The path is thinned out in space, by the rule and the tolerance of the simulator's traces, and
    then projected: straight lines stay straight.

    Args:
        positions: `(T, 3)` in the calibration's unit, in the robot's base frame.
        calibration: The camera.

    Returns:
        The trace [px], and the frames at which the end effector is at its points.

    Raises:
        RecordError: too few frames, a position that is not finite, behind the camera or outside
            the image, or a path that does not move in the image.
    """
    if len(positions) < FEWEST:
        noun = "frame" if len(positions) == 1 else "frames"
        raise RecordError(
            Cause.TOO_FEW_POINTS, f"{len(positions)} {noun}; a path needs at least {FEWEST}"
        )
    is_bad = ~np.isfinite(positions).all(axis=1)
    if is_bad.any():
        frame = int(is_bad.argmax())
        raise RecordError(
            Cause.NOT_FINITE,
            f"the end effector's position at frame {frame} is {positions[frame].tolist()}",
        )
    path = positions * calibration.metres
    pixels, depth = calibration.pinhole.project(path)
    _require_in_view(path, pixels, depth, calibration)
    if np.ptp(pixels, axis=0).max() < LEAST_MOVE:
        raise RecordError(
            Cause.BAD_VALUE,
            f"the end effector moves less than {LEAST_MOVE:g} px in the image during "
            f"{len(path)} frames; check 'position' in {calibration.path}",
        )
    frames = simplify(path, [0, len(path) - 1], fewest=FEWEST, most=MOST)
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
    seen = "behind the camera" if is_behind[frame] else f"at ({x:.0f}, {y:.0f}) px"
    where = ", ".join(f"{value:.3f}" for value in path[frame])
    width, height = calibration.image_size
    raise RecordError(
        Cause.OUTSIDE_IMAGE,
        f"at frame {frame} of {len(path)} the end effector, ({where}) m, is {seen} of an image of "
        f"{width}x{height} px ({int(is_out.sum())} such frames); if all episodes are, check the "
        f"frames and units in {calibration.path}",
    )


def _other_size(size: tuple[int, int], calibration: Calibration) -> str:
    (width, height), (stated_width, stated_height) = size, calibration.image_size
    return (
        f"the image is {width}x{height} px, but {calibration.path} belongs to images of "
        f"{stated_width}x{stated_height} px; if they were only resized, multiply fx and cx by "
        f"{width / stated_width:.6g}, fy and cy by {height / stated_height:.6g}, and state "
        f"image_size: [{width}, {height}]"
    )
