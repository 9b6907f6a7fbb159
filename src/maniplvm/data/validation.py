"""Turns values of a record into checked types: numbers, strings, and targets in original pixels.

Nothing here knows a data format. Every function takes a `name`, which its error messages use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.geometry.arrays import BoolArray, FloatArray
from maniplvm.geometry.regions import area_of_union, box_polygon
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Sample, TraceTarget

_STRINGS = ("id", "instruction", "split", "category", "scene", "part")

MAX_VERTICES = 10_000
"""Most vertices of all polygons of a region: the exact area takes time of the square of it."""

OVERHANG = 1.0
"""Coordinates may lie this far outside the image and are clipped [px]; farther is an error."""


def box_target(values: object, size: tuple[int, int], name: str = "box") -> BoxTarget:
    """Check a box and clip its overhang.

    Args:
        values: Four numbers x1, y1, x2, y2 [px of the original image].
        size: `(width, height)` of the image [px].
        name: How error messages name the value.

    Raises:
        RecordError: the type is wrong, a number is not finite, the numbers look normalized
            (`looks_normalized`), the box has no area, or it lies outside the image.
    """
    corners = as_numbers(values, name)
    if len(corners) != 4:
        raise RecordError(
            ErrorCode.WRONG_TYPE, f"{name} needs 4 numbers x1, y1, x2, y2, got {len(corners)}"
        )
    _require_area(corners, name)
    box = _clip_to_image(np.array(corners).reshape(2, 2), size, name).reshape(4).tolist()
    _require_area(box, f"{name}, clipped to the image,")
    return BoxTarget(box)


def trace_target(values: object, size: tuple[int, int], name: str = "trace") -> TraceTarget:
    """Check a trace and clip its overhang.

    Args:
        values: At least two points `[x, y]` [px of the original image].
        size: `(width, height)` of the image [px].
        name: How error messages name the value.

    Raises:
        RecordError: the type is wrong, a number is not finite, the numbers look normalized
            (`looks_normalized`), there are too few points, or a point lies outside the image.
    """
    return TraceTarget(_clip_to_image(_as_points(values, name, min_count=2), size, name))


def region_target(
    size: tuple[int, int],
    *,
    polygons: object = None,
    boxes: object = None,
    mask: BoolArray | None = None,
    points: object = None,
    name: str = "region",
) -> RegionTarget:
    """Check a region and clip its overhang. The region is the union of all given shapes.

    Args:
        size: `(width, height)` of the image [px].
        polygons: Lists of at least three points `[x, y]` [px of the original image], or None.
        boxes: Lists of four numbers x1, y1, x2, y2 [px of the original image], or None.
        mask: `(H, W)` boolean mask (`data.masks` reads it), or None.
        points: Reference points `[x, y]` of the data set [px of the original image], or None.
        name: How error messages name the value.

    Raises:
        RecordError: no shape is given, the type is wrong, a number is not finite, the numbers look
            normalized (`looks_normalized`), a shape has no area, or it lies outside the image; or the mask has another
            size or no set pixel.
    """
    outlines = _as_optional_list(polygons, f"{name}'s polygons")
    count = sum(len(cast("list[Any]", each)) for each in outlines if isinstance(each, list))
    if count > MAX_VERTICES:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"{name} has {count:,} vertices; at most {MAX_VERTICES:,} are read; simplify the "
            "polygons, or give a mask",
        )
    shapes = list[FloatArray]()
    for index, values in enumerate(outlines):
        shapes.append(_as_polygon(values, size, f"{name}, polygon {index},"))
    for index, values in enumerate(_as_optional_list(boxes, f"{name}'s boxes")):
        shapes.append(box_polygon(box_target(values, size, f"{name}, box {index},").xyxy))
    if not shapes and mask is None:
        raise RecordError(
            ErrorCode.MISSING_KEY, f"{name} needs at least one polygon or box, or a mask"
        )
    if mask is not None:
        _require_mask(mask, size, name)
    marks = None
    if points is not None:
        what = f"{name}'s points"
        marks = _clip_to_image(_as_points(points, what, min_count=1), size, what)
    return RegionTarget(shapes, mask, marks)


def as_numbers(values: object, name: str) -> list[float]:
    """A list of finite numbers.

    Raises:
        RecordError: the value is not a list, or holds something that is not a finite number.
    """
    return [as_number(value, name) for value in as_list(values, name)]


def as_number(value: object, name: str) -> float:
    """One finite number.

    Raises:
        RecordError: the value is not a number (strings and booleans are not), or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordError(ErrorCode.WRONG_TYPE, f"{name} needs numbers, got {short_repr(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise RecordError(ErrorCode.NOT_FINITE, f"{name} holds {short_repr(value)}")
    return result


def as_list(values: object, name: str) -> Sequence[Any]:
    """A JSON list.

    Raises:
        RecordError: the value is not a list.
    """
    if not isinstance(values, list):
        raise RecordError(ErrorCode.WRONG_TYPE, f"{name} needs a list, got {short_repr(values)}")
    return cast("list[Any]", values)


def as_string(value: object, name: str) -> str:
    """A string that is not blank and can be stored as UTF-8, without surrounding blanks.

    Raises:
        RecordError: the value is something else.
    """
    if not isinstance(value, str):
        raise RecordError(ErrorCode.WRONG_TYPE, f"{name} needs a string, got {short_repr(value)}")
    if not value.strip():
        raise RecordError(ErrorCode.BAD_VALUE, f"{name} is blank")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordError(
            ErrorCode.BAD_VALUE, f"{name} holds invalid Unicode {short_repr(value)}"
        ) from error
    return value.strip()


def looks_normalized(values: FloatArray) -> bool:
    """Whether numbers seem to be shares of the image instead of pixels.

    The assumption is that no target in pixels lies inside the first pixel. So all numbers in 0..1
    are taken for shares if at least one is a fraction. Whole numbers, such as the box 0, 0, 1, 1
    of one pixel, are pixels.
    """
    in_unit = ((values >= 0) & (values <= 1)).all()
    return bool(in_unit and (values != np.round(values)).any())


def short_repr(value: object, limit: int = 60) -> str:
    """The type and the value, shortened to one line for an error message."""
    try:
        text = f"{value:.3g}" if isinstance(value, float) else repr(value)[: limit + 1]
    except (RecursionError, ValueError):  # too deep, or an integer with too many digits
        text = "that is too large to show"
    return f"{type(value).__name__} {text[:limit]}{'…' if len(text) > limit else ''}"


def _as_optional_list(values: object, name: str) -> Sequence[Any]:
    return [] if values is None else as_list(values, name)


def _as_points(values: object, name: str, min_count: int) -> FloatArray:
    """A list of points, `(N, 2)`."""
    points = [
        as_numbers(point, f"{name}, point {i}") for i, point in enumerate(as_list(values, name))
    ]
    for i, point in enumerate(points):
        if len(point) != 2:
            raise RecordError(
                ErrorCode.WRONG_TYPE, f"{name}, point {i} needs 2 numbers x, y, got {len(point)}"
            )
    if len(points) < min_count:
        noun = "point" if min_count == 1 else "points"
        raise RecordError(
            ErrorCode.TOO_FEW_POINTS, f"{name} needs at least {min_count} {noun}, got {len(points)}"
        )
    return np.array(points)


def _as_polygon(values: object, size: tuple[int, int], name: str) -> FloatArray:
    polygon = _clip_to_image(_as_points(values, name, min_count=3), size, name)
    if not area_of_union([polygon]) > 0:
        raise RecordError(ErrorCode.EMPTY_BOX, f"{name} encloses no area of the image")
    return polygon


def _require_mask(mask: BoolArray, size: tuple[int, int], name: str) -> None:
    height, width = mask.shape
    if (width, height) != size:
        raise RecordError(
            ErrorCode.SIZE_MISMATCH,
            f"{name}'s mask is {width}x{height}, but its image is {size[0]}x{size[1]} px",
        )
    if not mask.any():
        raise RecordError(ErrorCode.BAD_VALUE, f"{name}'s mask has no set pixel")


def _require_area(corners: Sequence[float], name: str) -> None:
    x1, y1, x2, y2 = corners
    if not (x1 < x2 and y1 < y2):
        raise RecordError(
            ErrorCode.EMPTY_BOX,
            f"{name} is {x2 - x1:g} x {y2 - y1:g} px at ({x1:g}, {y1:g}); both sides must be positive",
        )


def _clip_to_image(points: FloatArray, size: tuple[int, int], name: str) -> FloatArray:
    if looks_normalized(points):
        raise RecordError(
            ErrorCode.NOT_PIXELS,
            f"every coordinate of {name} lies in 0..1, and some are fractions, so it seems to be a "
            "share of the image; give pixels of the original image",
        )
    limits = np.array(size, dtype=np.float64)
    overhang = np.maximum(-points, points - limits)
    if (overhang > OVERHANG).any():
        x, y = points[int(overhang.max(axis=1).argmax())]
        raise RecordError(
            ErrorCode.OUTSIDE_IMAGE,
            f"{name} reaches ({x:g}, {y:g}) in an image of {size[0]}x{size[1]} px",
        )
    return np.clip(points, 0, limits)


def unstorable(sample: Sample) -> str | None:
    """Why a sample's strings and provenance cannot be stored, in one line; None if they can be."""
    try:
        provenance_json(sample).encode()
    except UnicodeEncodeError:
        return "provenance holds a character that is not valid Unicode; remove it"
    except (TypeError, ValueError, RecursionError) as error:
        return (
            f"the provenance cannot be stored as JSON ({error}); use strings, finite numbers, lists "
            "and mappings"
        )
    for name in _STRINGS:
        try:
            (getattr(sample, name) or "").encode()
        except UnicodeEncodeError as error:
            return (
                f"{name} holds a character that is not valid Unicode (position {error.start}); "
                "remove it"
            )
    return None


def provenance_json(sample: Sample) -> str:
    """The provenance as it is stored.

    Raises:
        TypeError, ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    return json.dumps(sample.provenance, sort_keys=True, ensure_ascii=False, allow_nan=False)


class UniqueIds:
    """Refuses a second sample with the same id within one source."""

    def __init__(self) -> None:
        self._place_of: dict[str, str] = {}

    def check(self, id: str, file: str, place: str) -> None:
        """Register the id of a sample.

        Args:
            id: The sample's id.
            file: The file that holds its record.
            place: The record's place in the file.

        Raises:
            RecordError: an earlier sample has the same id; its file and place are given.
        """
        if id in self._place_of:
            raise RecordError(
                ErrorCode.DUPLICATE_ID,
                f"{id!r} is already the id of {self._place_of[id]}; rename one of them",
            )
        self._place_of[id] = f"{file}, {place}"
