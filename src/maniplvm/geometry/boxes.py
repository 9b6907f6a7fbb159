"""Axis-aligned boxes `x1, y1, x2, y2` with continuous edges (no "+ 1 pixel")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray


def as_boxes(boxes: ArrayLike, name: str = "boxes") -> FloatArray:
    """Check boxes.

    Args:
        boxes: `(..., 4)`, `x1 <= x2` and `y1 <= y2`, in any unit.
        name: The name of the boxes in error messages.

    Returns:
        The boxes as float64, `(..., 4)`.

    Raises:
        ValueError: a wrong last dimension, a number that is not finite, or swapped corners.
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise ValueError(f"{name}: expected shape (..., 4), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every coordinate must be finite")
    if (array[..., :2] > array[..., 2:]).any():
        raise ValueError(f"{name}: needs x1 <= x2 and y1 <= y2")
    return array


def area(boxes: ArrayLike) -> FloatArray:
    """Area of each box, `(...)` [unit squared]."""
    boxes = as_boxes(boxes)
    return np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)


def iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Intersection over union, in [0, 1]; 1 exactly if the boxes are equal and have an area.

    The IoU of two boxes without area is 0.

    Args:
        a: `(..., 4)` boxes.
        b: `(..., 4)` boxes, broadcast against `a`.

    Returns:
        `(...)`; a zero-dimensional array (usable as a float) for one pair.

    Raises:
        ValueError: as `as_boxes`.
    """
    intersection, union, _ = _overlap(as_boxes(a, "first boxes"), as_boxes(b, "second boxes"))
    return _ratio(intersection, union)


def giou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Generalised IoU (Rezatofighi et al. 2019), in (-1, 1].

    It is the IoU minus the fraction of the enclosing box that no box covers.

    Args:
        a: `(..., 4)` boxes.
        b: `(..., 4)` boxes, broadcast against `a`.

    Returns:
        `(...)`; a zero-dimensional array (usable as a float) for one pair.

    Raises:
        ValueError: as `as_boxes`.
    """
    intersection, union, hull = _overlap(as_boxes(a, "first boxes"), as_boxes(b, "second boxes"))
    return _ratio(intersection, union) - _ratio(hull - union, hull)


def corner_distance(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Mean Euclidean distance between the two pairs of matching corners, `(...)` [unit].

    It is 0 exactly if the boxes are equal. It grows with a shift and with a size error, at any
    distance.

    Raises:
        ValueError: as `as_boxes`.
    """
    offset = as_boxes(a, "first boxes") - as_boxes(b, "second boxes")
    return (np.hypot(offset[..., 0], offset[..., 1]) + np.hypot(offset[..., 2], offset[..., 3])) / 2


def _overlap(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Intersection, union and hull areas."""
    inner = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    intersection = np.prod(np.maximum(inner, 0.0), axis=-1)
    sizes_a, sizes_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    union = np.prod(sizes_a, axis=-1) + np.prod(sizes_b, axis=-1) - intersection
    return intersection, union, np.prod(outer, axis=-1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)
