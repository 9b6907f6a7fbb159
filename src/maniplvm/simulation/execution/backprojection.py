"""From a path in the image to a path in space, with the reference's depth and gripper.

A predicted path has no depth and no gripper. Both come from the reference, looked up by the
fraction of the path's length. Where the reference switches the gripper, the predicted path
switches at the waypoint that is nearest by that measure, and the fractions on either side are
stretched to meet there: a hand that closes half a centimetre before the corner of a path closes
on nothing, and no person would call that path wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.provenance import Provenance

MOST_POINTS = 256
"""Longest trace that is followed; an answer has ten points at most."""
SNAP = 0.15
"""Farthest that a gripper switch may move to a waypoint, as a share of the path's length."""
_SAME_PLACE = 1e-6


@dataclass(frozen=True, eq=False)
class Course:
    """Where the end effector goes.

    Attributes:
        points: `(M, 3)` [m, world], at least two, no two in a row alike in the image.
        gripper: `(M,)` command that holds from each point on, -1 open to 1 closed.
    """

    points: FloatArray
    gripper: FloatArray


def lift(trace: ArrayLike, reference: Provenance) -> Course:
    """The course that an image path describes.

    Args:
        trace: `(N, 2)` [px of the original image].
        reference: Of the sample that asked for the trace.

    Raises:
        ValueError: the trace is not a finite path of some length.
    """
    pixels = _path(trace)
    along = _fractions(pixels)
    known = _fractions(reference.trace)
    switches = np.flatnonzero(np.diff(reference.gripper)) + 1
    where = _switch_places(along, known[switches])
    every = np.union1d(along, where)
    bends = np.stack([np.interp(every, along, pixels[:, axis]) for axis in (0, 1)], axis=1)
    depth = np.interp(_stretched(every, where, known[switches]), known, reference.waypoint_depths)
    gripper = np.full(len(every), reference.gripper[0])
    for place, switch in zip(where, switches, strict=True):
        gripper[every >= place] = reference.gripper[switch]
    points = reference.camera.unproject(bends, depth) - reference.traced_offset
    return Course(points, gripper)


def _path(trace: ArrayLike) -> FloatArray:
    try:
        pixels = np.asarray(trace, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("trace: not an array of numbers") from error
    if pixels.ndim != 2 or pixels.shape[1] != 2 or not 2 <= len(pixels) <= MOST_POINTS:
        raise ValueError(
            f"trace: expected shape (N, 2) with N from 2 to {MOST_POINTS}, got {pixels.shape}"
        )
    if not np.isfinite(pixels).all():
        raise ValueError("trace: every coordinate must be finite")
    moved = np.linalg.norm(np.diff(pixels, axis=0), axis=1) > _SAME_PLACE
    pixels = pixels[np.append(True, moved)]
    if len(pixels) < 2:
        raise ValueError("trace: all points are in one place")
    return pixels


def _fractions(pixels: FloatArray) -> FloatArray:
    """Share of the path's length done at each point, from 0 to 1."""
    done = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(pixels, axis=0), axis=1)))
    return done / max(done[-1], _SAME_PLACE)


def _switch_places(along: FloatArray, wanted: FloatArray) -> FloatArray:
    """Where on the predicted path the gripper switches, in order."""
    places: list[float] = []
    earliest = 0.0
    for fraction in wanted:
        nearest = float(along[np.argmin(np.abs(along - fraction))])
        place = nearest if abs(nearest - fraction) <= SNAP else float(fraction)
        earliest = max(earliest, place)
        places.append(earliest)
    return np.array(places)


def _stretched(every: FloatArray, where: FloatArray, wanted: FloatArray) -> FloatArray:
    """The reference's fraction for each fraction of the predicted path."""
    own, other = [0.0], [0.0]
    for place, fraction in [*zip(where, wanted, strict=True), (1.0, 1.0)]:
        if place > own[-1] and fraction >= other[-1]:
            own.append(float(place))
            other.append(float(fraction))
    return np.interp(every, own, other)
