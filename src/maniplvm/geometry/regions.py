"""Regions of an image: unions of polygons, and masks. A point on the boundary lies inside.

Polygons are closed implicitly. The even-odd rule defines their inside, also if they cross
themselves. Pixel `(column i, row j)` of a mask covers `[i, i + 1] x [j, j + 1]`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import BoolArray, FloatArray, IntArray

_ON_EDGE = 1e-9
"""Tolerance for points on an edge, as a fraction of the extent of the polygon: rounding."""

_TABLE = 2**18
"""Largest table of points or edges with edges that is computed at once, in entries."""

_PARALLEL = 1e-200
"""Edges with a smaller cross product count as parallel [unit squared]."""


def as_polygon(vertices: ArrayLike, name: str = "polygon") -> FloatArray:
    """Check a polygon.

    Args:
        vertices: `(M >= 3, 2)` in order along the outline; the first may be repeated at the end.
        name: The name of the polygon in error messages.

    Returns:
        The vertices as float64, `(M, 2)`.

    Raises:
        ValueError: a wrong shape, a number that is not finite, or all vertices on one line.
    """
    polygon = np.array(vertices, dtype=np.float64)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise ValueError(f"{name}: expected shape (M >= 3, 2), got {polygon.shape}")
    if not np.isfinite(polygon).all():
        raise ValueError(f"{name}: every coordinate must be finite")
    if not area_of_union([polygon]) > 0:
        raise ValueError(f"{name}: encloses no area")
    return polygon


def box_polygon(box: ArrayLike) -> FloatArray:
    """The four corners `(4, 2)` of a box `x1, y1, x2, y2`."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64).tolist()
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def in_polygon(points: ArrayLike, polygon: ArrayLike) -> BoolArray:
    """Which points lie in a polygon or on its boundary.

    Args:
        points: `(N, 2)`.
        polygon: `(M, 2)`, in the same unit.

    Returns:
        `(N,)`. Memory grows with N and M, not with their product.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    start = np.asarray(polygon, dtype=np.float64)
    return _in_edges(points, start, np.roll(start, -1, axis=0), _tolerance(start))


def in_polygons(points: ArrayLike, polygons: Sequence[ArrayLike]) -> BoolArray:
    """Which points `(N, 2)` lie in at least one of the polygons, `(N,)`."""
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    inside = np.zeros(len(points), dtype=bool)
    for polygon in polygons:
        inside |= in_polygon(points, polygon)
    return inside


def in_mask(points: ArrayLike, mask: BoolArray) -> BoolArray:
    """Which points lie on a set pixel of a mask or on its boundary.

    Args:
        points: `(N, 2)` [px], x first. A point outside the image is not inside.
        mask: `(H, W)`.

    Returns:
        `(N,)`.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    height, width = mask.shape
    limits = np.array([width, height])
    on_image = ((points >= 0) & (points <= limits)).all(axis=1)
    clipped = np.where(on_image[:, None], points, 0.0)
    after = np.minimum(np.floor(clipped).astype(np.int64), limits - 1)
    before = np.clip(np.ceil(clipped).astype(np.int64) - 1, 0, limits - 1)
    inside = np.zeros(len(points), dtype=bool)
    for columns in (before[:, 0], after[:, 0]):
        for rows in (before[:, 1], after[:, 1]):
            inside |= mask[rows, columns]
    return inside & on_image


def area_of_union(polygons: Sequence[FloatArray]) -> float:
    """Area of the union of polygons [unit squared], exact up to rounding.

    The image is cut at the heights of all vertices and edge crossings. Between two cuts the covered
    width is linear in the height, so its mean is the value half way.
    """
    if not polygons:
        return 0.0
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    polygon_index = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    levels = np.unique(np.concatenate([start[:, 1], _crossing_heights(start, end)]))
    return sum(
        _covered_width(start, end, polygon_index, (low + high) / 2) * (high - low)
        for low, high in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True)
    )


def widest_chord(polygons: Sequence[FloatArray], y: float) -> tuple[float, float] | None:
    """The longest interval `x1, x2` of the line at height `y` inside the union, or None."""
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    polygon_index = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    intervals = _covered_intervals(start, end, polygon_index, y)
    return max(intervals, key=lambda pair: pair[1] - pair[0], default=None)


def edge_distance(points: ArrayLike, polygons: Sequence[FloatArray]) -> FloatArray:
    """The distance of each point `(N, 2)` to the nearest edge of any polygon, `(N,)` [unit]."""
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    distances = [_to_edges(points, polygon, np.roll(polygon, -1, axis=0)) for polygon in polygons]
    return np.min(distances, axis=0)


def polygon_mask(polygons: Sequence[FloatArray], size: tuple[int, int]) -> BoolArray:
    """Mask `(H, W)` of the pixels whose centres the polygons cover; `size` is width and height."""
    width, height = size
    columns = np.arange(width) + 0.5
    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        end = np.roll(polygon, -1, axis=0)
        tolerance = _tolerance(polygon)
        low = np.minimum(polygon[:, 1], end[:, 1]) - tolerance
        high = np.maximum(polygon[:, 1], end[:, 1]) + tolerance
        for row in range(height):
            near = (low <= row + 0.5) & (row + 0.5 <= high)  # no other edge matters to this row
            if near.any():
                centres = np.stack([columns, np.full(width, row + 0.5)], axis=1)
                mask[row] |= _in_edges(centres, polygon[near], end[near], tolerance)
    return mask


def mask_outlines(mask: BoolArray) -> tuple[FloatArray, ...]:
    """The edges between set and other pixels of a mask `(H, W)`, as closed outlines `(M, 2)` [px].

    Outer edges run clockwise in the image (y down), edges of holes counterclockwise. Straight parts
    have no inner vertices. By the even-odd rule the outlines cover exactly the mask.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    across, down = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in np.argwhere(across).tolist():
        ends = ((x, y), (x + 1, y)) if across[y, x] > 0 else ((x + 1, y), (x, y))
        following.setdefault(ends[0], []).append(ends[1])
    for y, x in np.argwhere(down).tolist():
        ends = ((x, y), (x, y + 1)) if down[y, x] < 0 else ((x, y + 1), (x, y))
        following.setdefault(ends[0], []).append(ends[1])
    outlines = list[FloatArray]()
    while following:
        start = next(iter(following))
        path = [start]
        while (vertex := path[-1]) in following:
            successors = following[vertex]
            path.append(successors.pop())
            if not successors:
                del following[vertex]
        outlines.append(_without_collinear_vertices(np.array(path[:-1], dtype=np.float64)))
    return tuple(outlines)


def _without_collinear_vertices(outline: FloatArray) -> FloatArray:
    before, after = outline - np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0) - outline
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return outline[turns]


def _tolerance(polygon: FloatArray) -> float:
    return _ON_EDGE * max(1.0, float(np.abs(polygon).max()))


def _in_edges(
    points: FloatArray, start: FloatArray, end: FloatArray, tolerance: float
) -> BoolArray:
    """Which points `(N, 2)` an even-odd set of edges surrounds, or lie on one of them, `(N,)`."""
    inside = np.zeros(len(points), dtype=bool)
    for rows in _blocks(len(points), len(start)):
        x, y = points[rows, None, 0], points[rows, None, 1]
        straddles = (start[:, 1] > y) != (end[:, 1] > y)
        along = end - start
        share = np.divide(
            y - start[:, 1], along[:, 1], out=np.zeros(straddles.shape), where=straddles
        )
        crossed = straddles & (x < start[:, 0] + share * along[:, 0])
        on_edge = _to_edges(points[rows], start, end) <= tolerance
        inside[rows] = (crossed.sum(axis=1) % 2 == 1) | on_edge
    return inside


def _blocks(count: int, others: int) -> list[slice]:
    """Slices of `count` rows, so that a table of a slice and `others` columns stays small."""
    size = max(1, _TABLE // max(1, others))
    return [slice(first, first + size) for first in range(0, count, size)]


def _to_edges(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """The distance of each point to the nearest edge, `(N,)`."""
    along = end - start
    length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    distances = np.empty(len(points))
    for rows in _blocks(len(points), len(start)):
        offset = points[rows, None] - start
        fraction = np.clip((offset * along).sum(axis=-1) / length, 0.0, 1.0)
        gap = offset - fraction[..., None] * along
        distances[rows] = np.hypot(gap[..., 0], gap[..., 1]).min(axis=1)
    return distances


def _crossing_heights(start: FloatArray, end: FloatArray) -> FloatArray:
    """The heights at which two edges cross."""
    low = np.minimum(start[:, 1], end[:, 1])
    order = np.argsort(low, kind="stable")
    start, end, low = start[order], end[order], low[order]
    high = np.maximum(start[:, 1], end[:, 1])
    along = end - start
    found = list[FloatArray]()
    first = 0
    while first < len(start):
        # Edges are sorted by their lower end, so only a range of them can reach these.
        size = max(1, _TABLE // (len(start) - first))
        block = slice(first, first + size)
        others = slice(first, int((low <= high[block].max()).sum()))
        rows, columns, fraction = _crossings(start, along, block, others)
        found.append(start[rows, 1] + fraction[rows - first, columns - first] * along[rows, 1])
        first += size
    return np.concatenate(found)


def _crossings(
    start: FloatArray, along: FloatArray, block: slice, others: slice
) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs `i < j` of edges that cross, and where on `i` (0..1), as a table of the block."""
    own, other = along[block], along[others]
    cross = own[:, None, 0] * other[None, :, 1] - own[:, None, 1] * other[None, :, 0]
    gap = start[None, others] - start[block, None]
    is_crossing = np.abs(cross) > _PARALLEL
    on_own, on_other = (
        np.divide(
            gap[..., 0] * direction[..., 1] - gap[..., 1] * direction[..., 0],
            cross,
            out=np.full(cross.shape, -1.0),
            where=is_crossing,
        )
        for direction in (other[None], own[:, None])
    )
    inner = (on_own > 0) & (on_own < 1) & (on_other > 0) & (on_other < 1)
    rows, columns = np.nonzero(np.triu(inner, 1))
    return rows + block.start, columns + others.start, on_own


def _covered_width(start: FloatArray, end: FloatArray, polygon_index: IntArray, y: float) -> float:
    return sum(right - left for left, right in _covered_intervals(start, end, polygon_index, y))


def _covered_intervals(
    start: FloatArray, end: FloatArray, polygon_index: IntArray, y: float
) -> list[tuple[float, float]]:
    """The disjoint intervals of the line at height `y` inside the union, from left to right."""
    cut = np.flatnonzero((start[:, 1] > y) != (end[:, 1] > y))
    rise = end[cut, 1] - start[cut, 1]
    x = start[cut, 0] + (y - start[cut, 1]) / rise * (end[cut, 0] - start[cut, 0])
    order = np.lexsort((x, polygon_index[cut]))
    pairs = sorted(zip(x[order][::2].tolist(), x[order][1::2].tolist(), strict=True))
    merged = list[tuple[float, float]]()
    for left, right in pairs:
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged
