"""From a dense path to the few points that a person would draw."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from maniplvm.geometry.arrays import FloatArray

SIMPLIFY_TOLERANCE = 0.010
"""Farthest that an end effector's path may stray from the lines between its waypoints [m]."""


def simplify(
    path: FloatArray,
    anchors: Sequence[int],
    *,
    fewest: int,
    most: int,
    tolerance: float = SIMPLIFY_TOLERANCE,
) -> list[int]:
    """Which points of a path to keep, so that the lines between them stay near the rest.

    Ramer's rule (1972), adding the point that strays most first, so that a budget can be kept.
    Where that leaves too few points, the middles of the longest gaps are added.

    Args:
        path: `(N, D)`, at least `fewest` points, in any unit.
        anchors: Indices to keep in any case, ascending; the first and the last point among them.
        fewest: Keep at least so many points.
        most: Keep no more than so many, unless there are more anchors.
        tolerance: How far a dropped point may lie from its line [unit of the path].

    Returns:
        Ascending indices of the kept points.
    """
    steps = list(anchors)
    while len(steps) < most:
        worst, where = max(_worst(path, a, b) for a, b in pairwise(steps))
        if worst <= tolerance:
            break
        steps = sorted({*steps, where})
    while len(steps) < fewest:
        gap = max(range(len(steps) - 1), key=lambda index: steps[index + 1] - steps[index])
        steps.insert(gap + 1, (steps[gap] + steps[gap + 1]) // 2)
    return steps


def _worst(path: FloatArray, start: int, end: int) -> tuple[float, int]:
    """How far the path strays from the chord between two steps, and where."""
    between = path[start + 1 : end]
    if not len(between):
        return 0.0, start
    chord = path[end] - path[start]
    length = float(chord @ chord)
    along = (between - path[start]) @ chord / length if length > 1e-12 else np.zeros(len(between))
    foot = path[start] + np.clip(along, 0.0, 1.0)[:, None] * chord
    stray = np.linalg.norm(between - foot, axis=1)
    worst = int(np.argmax(stray))
    return float(stray[worst]), start + 1 + worst
