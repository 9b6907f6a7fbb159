"""Curve simplification (Ramer-Douglas-Peucker) with a maximum number of points."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from maniplvm.geometry.arrays import FloatArray

PATH_TOLERANCE = 0.010
"""Maximum distance of an end effector path from the lines between its waypoints [m]."""


def simplify(
    points: FloatArray,
    tolerance: float = PATH_TOLERANCE,
    max_points: int | None = None,
    *,
    min_points: int = 2,
    anchors: Iterable[int] = (),
) -> list[int]:
    """Choose the points of a curve to keep, so that straight lines between them are close to it.

    The point with the largest deviation is added first (Ramer 1972, Douglas and Peucker 1973). If
    fewer than `min_points` remain, the middles of the longest gaps are added.

    Args:
        points: `(N, D)`, `N >= min_points`, in any unit.
        tolerance: Maximum distance of a dropped point from its line [unit of the points].
        max_points: Maximum number of kept points, unless there are more anchors. None means no
            maximum.
        min_points: Minimum number of kept points, at least 2.
        anchors: Indices that are always kept. The first and the last point are always kept.

    Returns:
        Ascending indices of the kept points.
    """
    kept = sorted({0, len(points) - 1, *anchors})
    while max_points is None or len(kept) < max_points:
        distance, index = max(_farthest(points, a, b) for a, b in pairwise(kept))
        if distance <= tolerance:
            break
        kept = sorted({*kept, index})
    while len(kept) < min_points:
        gap = max(range(len(kept) - 1), key=lambda index: kept[index + 1] - kept[index])
        kept.insert(gap + 1, (kept[gap] + kept[gap + 1]) // 2)
    return kept


def _farthest(points: FloatArray, start: int, end: int) -> tuple[float, int]:
    """The maximum distance from the line between two points, and the index of that point."""
    between = points[start + 1 : end]
    if not len(between):
        return 0.0, start
    chord = points[end] - points[start]
    length = float(chord @ chord)
    along = (between - points[start]) @ chord / length if length > 1e-12 else np.zeros(len(between))
    foot = points[start] + np.clip(along, 0.0, 1.0)[:, None] * chord
    distances = np.linalg.norm(between - foot, axis=1)
    index = int(np.argmax(distances))
    return float(distances[index]), start + 1 + index
