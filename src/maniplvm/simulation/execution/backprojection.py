"""Backprojection: from a path in the image to a path of the end effector in space.

A predicted path has no depth and no gripper commands. Both come from the reference, matched by
the fraction of the path's length. At each gripper switch of the reference, the predicted path
switches at its nearest waypoint by that measure. The fractions before and after the switch are
stretched to match. Otherwise, a gripper that closes slightly before a corner would miss the part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.provenance import Provenance

MAX_POINTS = 256
"""Maximum number of points of a trace. An answer has at most ten."""
MAX_SWITCH_SHIFT = 0.15
"""Maximum shift of a gripper switch to a waypoint, as a share of the path's length."""
_MIN_LENGTH = 1e-6


@dataclass(frozen=True, eq=False)
class EndEffectorPath:
    """A path of the end effector with gripper commands.

    Attributes:
        points: `(M, 3)` [m, world]; M is at least 2, and consecutive points differ in the image.
        gripper: `(M,)` gripper command from each point on, -1 open to 1 closed.
    """

    points: FloatArray
    gripper: FloatArray


def backproject(trace: ArrayLike, reference: Provenance) -> EndEffectorPath:
    """The end-effector path of a trace.

    Args:
        trace: `(N, 2)` [px of the original image].
        reference: Provenance of the sample.

    Raises:
        ValueError: The trace is not finite, or has no length.
    """
    pixels = _checked(trace)
    fractions = _fractions(pixels)
    reference_fractions = _fractions(reference.trace)
    switches = np.flatnonzero(np.diff(reference.gripper)) + 1
    reference_switches = reference_fractions[switches]
    own_switches = _match_switches(fractions, reference_switches)
    merged = np.union1d(fractions, own_switches)
    waypoints = np.stack([np.interp(merged, fractions, pixels[:, axis]) for axis in (0, 1)], axis=1)
    depth = np.interp(
        _stretched(merged, own_switches, reference_switches),
        reference_fractions,
        reference.waypoint_depths,
    )
    gripper = np.full(len(merged), reference.gripper[0])
    for fraction, switch in zip(own_switches, switches, strict=True):
        gripper[merged >= fraction] = reference.gripper[switch]
    points = reference.camera.unproject(waypoints, depth) - reference.traced_offset
    return EndEffectorPath(points, gripper)


def _checked(trace: ArrayLike) -> FloatArray:
    try:
        pixels = np.asarray(trace, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("trace: not an array of numbers") from error
    if pixels.ndim != 2 or pixels.shape[1] != 2 or not 2 <= len(pixels) <= MAX_POINTS:
        raise ValueError(
            f"trace: expected shape (N, 2) with N from 2 to {MAX_POINTS}, got {pixels.shape}"
        )
    if not np.isfinite(pixels).all():
        raise ValueError("trace: every coordinate must be finite")
    moved = np.linalg.norm(np.diff(pixels, axis=0), axis=1) > _MIN_LENGTH
    pixels = pixels[np.append(True, moved)]
    if len(pixels) < 2:
        raise ValueError("trace: all points are in one place")
    return pixels


def _fractions(pixels: FloatArray) -> FloatArray:
    """Fraction of the path's length at each point, from 0 to 1."""
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(pixels, axis=0), axis=1)))
    return length / max(length[-1], _MIN_LENGTH)


def _match_switches(fractions: FloatArray, reference_switches: FloatArray) -> FloatArray:
    """The fractions of the predicted path at which the gripper switches, in order."""
    matched: list[float] = []
    earliest = 0.0
    for fraction in reference_switches:
        nearest = float(fractions[np.argmin(np.abs(fractions - fraction))])
        is_near = abs(nearest - fraction) <= MAX_SWITCH_SHIFT
        earliest = max(earliest, nearest if is_near else float(fraction))
        matched.append(earliest)
    return np.array(matched)


def _stretched(
    fractions: FloatArray, own_switches: FloatArray, reference_switches: FloatArray
) -> FloatArray:
    """The reference's fraction for each fraction of the predicted path."""
    own, reference = [0.0], [0.0]
    for own_switch, switch in [*zip(own_switches, reference_switches, strict=True), (1.0, 1.0)]:
        if own_switch > own[-1] and switch >= reference[-1]:
            own.append(float(own_switch))
            reference.append(float(switch))
    return np.interp(fractions, own, reference)
