"""The target of a pointing task: a region of the original image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maniplvm.geometry.arrays import BoolArray, FloatArray, read_only
from maniplvm.geometry.regions import (
    area_of_union,
    as_polygon,
    box_polygon,
    edge_distance,
    in_mask,
    in_polygons,
    mask_outlines,
    polygon_mask,
    widest_chord,
)

_LEVELS = 31
"""Number of horizontal lines that are searched for a point inside a polygon."""


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """The correct region of a pointing task: the union of polygons and a mask.

    A point on the boundary is correct.

    Attributes:
        polygons: Polygons, each `(M >= 3, 2)` [px of the original image], x right, y down.
        mask: `(H, W)` bool array of the original image's size, or None.
        marks: `(N, 2)` [px] points that the source of the data lists as correct, or None. They may
            lie outside the region. They are drawn; protocols use only the region.

    Raises:
        ValueError: neither a polygon nor a set pixel, a polygon without area, a number that is
            not finite, or an array of another shape.
    """

    polygons: tuple[FloatArray, ...] = ()
    mask: BoolArray | None = None
    marks: FloatArray | None = None

    def __init__(
        self,
        polygons: Iterable[ArrayLike] = (),
        mask: ArrayLike | None = None,
        marks: ArrayLike | None = None,
    ) -> None:
        shapes = tuple(
            read_only(as_polygon(polygon, f"region target, polygon {index}"))
            for index, polygon in enumerate(polygons)
        )
        if not shapes and mask is None:
            raise ValueError("region target: needs a polygon or a mask")
        object.__setattr__(self, "polygons", shapes)
        object.__setattr__(self, "mask", None if mask is None else _mask(mask))
        object.__setattr__(self, "marks", None if marks is None else _marks(marks))

    @classmethod
    def of_boxes(cls, boxes: Sequence[ArrayLike]) -> RegionTarget:
        """The union of boxes `x1, y1, x2, y2` [px]."""
        return cls([box_polygon(box) for box in boxes])

    def contains(self, points: ArrayLike) -> BoolArray:
        """Which of the points `(N, 2)` [px] are correct, `(N,)`."""
        inside = in_polygons(points, self.polygons)
        return inside if self.mask is None else inside | in_mask(points, self.mask)

    @cached_property
    def bounds(self) -> FloatArray:
        """The tightest box around the region, `(4,)` x1, y1, x2, y2 [px]."""
        corners = [
            corner for polygon in self.polygons for corner in (polygon.min(0), polygon.max(0))
        ]
        if self.mask is not None:
            rows, columns = np.nonzero(self.mask)
            corners += [
                np.array([columns.min(), rows.min()], dtype=np.float64),
                np.array([columns.max(), rows.max()], dtype=np.float64) + 1,
            ]
        return read_only(np.concatenate([np.min(corners, axis=0), np.max(corners, axis=0)]))

    @property
    def points(self) -> FloatArray:
        """The corners of `bounds`, `(2, 2)` [px]."""
        return self.bounds.reshape(2, 2)

    @property
    def outlines(self) -> tuple[FloatArray, ...]:
        """Closed outlines for drawing, each `(M, 2)` [px]: the polygons and the mask's edges."""
        return self.polygons + (() if self.mask is None else mask_outlines(self.mask))

    @cached_property
    def area_px(self) -> float:
        """The area [px^2]. It is exact for polygons; with a mask, covered pixel centres count."""
        if self.mask is None:
            return area_of_union(self.polygons)
        mask = self.mask
        if self.polygons:
            mask = mask | polygon_mask(self.polygons, (mask.shape[1], mask.shape[0]))
        return float(mask.sum())

    @cached_property
    def inside_point(self) -> FloatArray:
        """A point well inside the region, `(2,)` [px]: the reference answer.

        With polygons: the widest horizontal chords of the largest polygon are computed at some
        heights, and the chord middle that is farthest from the edges is chosen. With a mask alone:
        the set pixel nearest to the centre of mass.
        """
        if not self.polygons:
            return self._middle_pixel()
        largest = [max(self.polygons, key=lambda polygon: area_of_union([polygon]))]
        heights = largest[0][:, 1]
        low, high = float(heights.min()), float(heights.max())
        levels = [low + (high - low) * step / (_LEVELS + 1) for step in range(1, _LEVELS + 1)]
        chords = [(widest_chord(largest, y), y) for y in levels]
        middles = np.array([[sum(chord) / 2, y] for chord, y in chords if chord is not None])
        return read_only(middles[int(edge_distance(middles, largest).argmax())])

    def _middle_pixel(self) -> FloatArray:
        if self.mask is None:
            raise ValueError("a region has a polygon or a mask")
        centres = np.argwhere(self.mask)[:, ::-1] + 0.5
        nearest = ((centres - centres.mean(axis=0)) ** 2).sum(axis=1).argmin()
        return read_only(centres[nearest])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RegionTarget)
            and len(self.polygons) == len(other.polygons)
            and all(map(np.array_equal, self.polygons, other.polygons))
            and _is_same(self.mask, other.mask)
            and _is_same(self.marks, other.marks)
        )

    def __hash__(self) -> int:
        mask = b"" if self.mask is None else np.packbits(self.mask).tobytes()
        return hash((tuple(polygon.tobytes() for polygon in self.polygons), mask))


def _mask(values: ArrayLike) -> BoolArray:
    mask = np.array(values)
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(
            f"region target: a mask must be a (H, W) array of bool, got {mask.shape} of {mask.dtype}"
        )
    if not mask.any():
        raise ValueError("region target: the mask has no set pixel")
    mask.setflags(write=False)
    return mask


def _marks(values: ArrayLike) -> FloatArray:
    marks = np.array(values, dtype=np.float64)
    if marks.ndim != 2 or marks.shape[1] != 2 or not len(marks) or not np.isfinite(marks).all():
        raise ValueError(
            f"region target: marks must be (N >= 1, 2) finite numbers, got {marks.shape}"
        )
    return read_only(marks)


def _is_same(first: NDArray[np.generic] | None, second: NDArray[np.generic] | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)
