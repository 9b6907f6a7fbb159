"""A record's numbers, checked against its image, become a target in original pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from maniplvm.data.record_errors import Cause, RecordError
from maniplvm.geometry.regions import BoolArray, area_of_union, box_polygon
from maniplvm.tasks.sample import FloatArray
from maniplvm.tasks.targets import BoxTarget, RegionTarget, TraceTarget

OVERHANG = 1.0
"""How far a coordinate may lie outside the image before it is an error [px]; it is clipped."""


def box_target(values: object, size: tuple[int, int], what: str = "box") -> BoxTarget:
    """Check a box and clip its overhang.

    Args:
        values: Four numbers x1, y1, x2, y2 [px of the original image].
        size: `(width, height)` of the image [px].
        what: What an error calls it.

    Raises:
        RecordError: wrong type, not finite, in 0..1 instead of pixels, no area, or outside.
    """
    corners = numbers(values, what)
    if len(corners) != 4:
        raise RecordError(
            Cause.WRONG_TYPE, f"{what} needs 4 numbers x1, y1, x2, y2, got {len(corners)}"
        )
    _require_area(corners, what)
    box = _inside(np.array(corners).reshape(2, 2), size, what).reshape(4).tolist()
    _require_area(box, f"{what}, clipped to the image,")
    return BoxTarget(box)


def trace_target(values: object, size: tuple[int, int], what: str = "trace") -> TraceTarget:
    """Check a trace and clip its overhang.

    Args:
        values: At least two points `[x, y]` [px of the original image].
        size: `(width, height)` of the image [px].
        what: What an error calls it.

    Raises:
        RecordError: wrong type, not finite, in 0..1 instead of pixels, too short, or outside.
    """
    return TraceTarget(_inside(_pairs(values, what, fewest=2), size, what))


def region_target(
    size: tuple[int, int],
    *,
    polygons: object = None,
    boxes: object = None,
    mask: BoolArray | None = None,
    marks: object = None,
    what: str = "region",
) -> RegionTarget:
    """Check a region and clip its overhang: the union of everything that is given.

    Args:
        size: `(width, height)` of the image [px].
        polygons: Lists of at least three points `[x, y]` [px of the original image], or None.
        boxes: Lists of four numbers x1, y1, x2, y2 [px of the original image], or None.
        mask: `(H, W)`, already read (`data.masks`), or None.
        marks: The data set's own right points `[x, y]` [px of the original image], or None.
        what: What an error calls it.

    Raises:
        RecordError: none of the three shapes; wrong type, not finite, in 0..1 instead of pixels,
            no area, or outside; a mask of another size, or without a set pixel.
    """
    shapes = list[FloatArray]()
    for index, values in enumerate(_listed(polygons, f"{what}'s polygons")):
        shapes.append(_polygon(values, size, f"{what}, polygon {index},"))
    for index, values in enumerate(_listed(boxes, f"{what}'s boxes")):
        shapes.append(box_polygon(box_target(values, size, f"{what}, box {index},").xyxy))
    if not shapes and mask is None:
        raise RecordError(Cause.MISSING_KEY, f"{what} needs at least one polygon or box, or a mask")
    if mask is not None:
        _require_mask(mask, size, what)
    points = None
    if marks is not None:
        points = _inside(_pairs(marks, f"{what}'s points", fewest=1), size, f"{what}'s points")
    return RegionTarget(shapes, mask, points)


def numbers(values: object, what: str) -> list[float]:
    """A list of finite numbers.

    Raises:
        RecordError: not a list, not numbers, or not finite.
    """
    return [number(value, what) for value in items(values, what)]


def number(value: object, what: str) -> float:
    """One finite number.

    Raises:
        RecordError: not a number (a text or a truth value is none), or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordError(Cause.WRONG_TYPE, f"{what} needs numbers, got {shown(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise RecordError(Cause.NOT_FINITE, f"{what} holds {shown(value)}")
    return result


def items(values: object, what: str) -> Sequence[Any]:
    """A JSON list.

    Raises:
        RecordError: not a list.
    """
    if not isinstance(values, list):
        raise RecordError(Cause.WRONG_TYPE, f"{what} needs a list, got {shown(values)}")
    return cast("list[Any]", values)


def shown(value: object, limit: int = 60) -> str:
    """A value as an error shows it: short, on one line."""
    text = f"{value:.3g}" if isinstance(value, float) else repr(value)[: limit + 1]
    return f"{type(value).__name__} {text[:limit]}{'…' if len(text) > limit else ''}"


def _listed(values: object, what: str) -> Sequence[Any]:
    return [] if values is None else items(values, what)


def _pairs(values: object, what: str, fewest: int) -> FloatArray:
    """A list of points, `(N, 2)`."""
    points = [numbers(point, f"{what}, point {i}") for i, point in enumerate(items(values, what))]
    for i, point in enumerate(points):
        if len(point) != 2:
            raise RecordError(
                Cause.WRONG_TYPE, f"{what}, point {i} needs 2 numbers x, y, got {len(point)}"
            )
    if len(points) < fewest:
        noun = "point" if fewest == 1 else "points"
        raise RecordError(
            Cause.TOO_FEW_POINTS, f"{what} needs at least {fewest} {noun}, got {len(points)}"
        )
    return np.array(points)


def _polygon(values: object, size: tuple[int, int], what: str) -> FloatArray:
    polygon = _inside(_pairs(values, what, fewest=3), size, what)
    if not area_of_union([polygon]) > 0:
        raise RecordError(Cause.EMPTY_BOX, f"{what} encloses no area of the image")
    return polygon


def _require_mask(mask: BoolArray, size: tuple[int, int], what: str) -> None:
    height, width = mask.shape
    if (width, height) != size:
        raise RecordError(
            Cause.SIZE_MISMATCH,
            f"{what}'s mask is {width}x{height}, but its image is {size[0]}x{size[1]} px",
        )
    if not mask.any():
        raise RecordError(Cause.BAD_VALUE, f"{what}'s mask has no set pixel")


def _require_area(corners: Sequence[float], what: str) -> None:
    x1, y1, x2, y2 = corners
    if not (x1 < x2 and y1 < y2):
        raise RecordError(
            Cause.EMPTY_BOX,
            f"{what} is {x2 - x1:g} x {y2 - y1:g} px at ({x1:g}, {y1:g}); both sides must be positive",
        )


def _inside(points: FloatArray, size: tuple[int, int], what: str) -> FloatArray:
    if ((points >= 0) & (points <= 1)).all():
        raise RecordError(
            Cause.NOT_PIXELS,
            f"every coordinate of {what} lies in 0..1; give pixels of the original image",
        )
    limits = np.array(size, dtype=np.float64)
    beyond = np.maximum(-points, points - limits)
    if (beyond > OVERHANG).any():
        x, y = points[int(beyond.max(axis=1).argmax())]
        raise RecordError(
            Cause.OUTSIDE_IMAGE,
            f"{what} reaches ({x:g}, {y:g}) in an image of {size[0]}x{size[1]} px",
        )
    return np.clip(points, 0, limits)
