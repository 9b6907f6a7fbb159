"""Lines that stay visible on any photograph: a dark halo below, the colour above."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import ImageColor, ImageDraw

from maniplvm.geometry.arrays import FloatArray

_HALO = (0, 0, 0, 150)
_PALE = 0.65
_HEAD_LENGTH = 5.0


def draw_box(
    pen: ImageDraw.ImageDraw, corners: FloatArray, colour: str, is_dashed: bool, stroke: float
) -> None:
    """Outline a box `(2, 2)` [px] from outside."""
    low, high = corners.min(axis=0) - stroke / 2, corners.max(axis=0) + stroke / 2
    outline = np.array([low, [high[0], low[1]], high, [low[0], high[1]], low])
    draw_line(pen, outline, colour, is_dashed, stroke)


def draw_outline(
    pen: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, stroke: float
) -> None:
    """Outline a polygon `(M, 2)` [px]."""
    draw_line(pen, np.concatenate([points, points[:1]]), colour, is_dashed, stroke)


def draw_crosses(
    pen: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, stroke: float
) -> None:
    """Mark each of the points `(N, 2)` [px]: an upright cross, a slanted one where others dash."""
    arm = stroke * 2.6
    arms = np.array([[arm, 0.0], [0.0, arm]])
    if is_dashed:
        arms = np.array([[1.0, 1.0], [1.0, -1.0]]) * arm * np.sqrt(0.5)
    for width, paint in ((stroke * 1.9, _HALO), (stroke, ImageColor.getrgb(colour))):
        for point in points:
            for way in arms:
                _segment(pen, point - way, point + way, width, paint)


def draw_line(
    pen: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, stroke: float
) -> None:
    """Draw a path `(N, 2)` [px] in one colour."""
    pieces = list(_pieces(points, stroke, is_dashed))
    for width, paint in ((stroke * 1.9, _HALO), (stroke, ImageColor.getrgb(colour))):
        for start, end, _ in pieces:
            _segment(pen, start, end, width, paint)


def draw_trace(
    pen: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, stroke: float
) -> None:
    """Draw a path `(N, 2)` [px] from a ring to an arrow head, growing stronger on its way."""
    if len(points) == 0:
        return
    strong = np.array(ImageColor.getrgb(colour)[:3], dtype=np.float64)
    head = arrow_head(points, stroke * _HEAD_LENGTH)
    covered = 0.0 if head is None else stroke * _HEAD_LENGTH / 2
    length = float(np.hypot(*np.diff(points, axis=0).T).sum())
    pieces = [
        piece for piece in _pieces(points, stroke, is_dashed) if (1 - piece[2]) * length >= covered
    ]
    for start, end, _ in pieces:
        _segment(pen, start, end, stroke * 1.9, _HALO)
    for start, end, progress in pieces:
        shade = strong + (255 - strong) * _PALE * (1 - progress)
        _segment(pen, start, end, stroke, _rgb(shade))
    for point in points[1:-1]:
        _disc(pen, point, stroke * 1.1, _rgb(strong))
    if head is not None:
        pen.polygon([tuple(corner) for corner in head.tolist()], fill=_rgb(strong), outline=_HALO)
    _disc(pen, points[0], stroke * 2.1, _HALO)
    _disc(pen, points[0], stroke * 1.7, _rgb(strong))
    _disc(pen, points[0], stroke * 0.9, (255, 255, 255))


def _pieces(
    points: FloatArray, stroke: float, is_dashed: bool
) -> Iterator[tuple[FloatArray, FloatArray, float]]:
    """Cut a path into short pieces `(start, end, progress 0..1)`; dashes leave two of four out."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    total = float(lengths.sum())
    step = max(stroke * 2, total / 600)
    done = 0
    travelled = 0.0
    for start, end, length in zip(points[:-1], points[1:], lengths.tolist(), strict=True):
        count = max(1, round(length / step))
        for i in range(count):
            if not (is_dashed and done % 4 >= 2):
                a, b = (
                    start + (end - start) * (i / count),
                    start + (end - start) * ((i + 1) / count),
                )
                yield a, b, (travelled + length * (i + 0.5) / count) / max(total, 1e-9)
            done += 1
        travelled += length


def arrow_head(points: FloatArray, length: float) -> FloatArray | None:
    """A triangle `(3, 2)` at the end, along the path's last stretch; None where nothing moves."""
    tip = points[-1]
    distances = np.hypot(*(points - tip).T)
    if distances.max() < 1e-6:
        return None
    far_enough = np.flatnonzero(distances >= min(length, float(distances.max())))
    direction = tip - points[far_enough[-1]]
    direction = direction / np.hypot(*direction)
    normal = np.array([-direction[1], direction[0]])
    back = tip - direction * length
    return np.array([tip, back + normal * length * 0.5, back - normal * length * 0.5])


def _segment(
    pen: ImageDraw.ImageDraw,
    start: FloatArray,
    end: FloatArray,
    width: float,
    paint: tuple[int, ...],
) -> None:
    whole = max(1, round(width))
    pen.line([*start.tolist(), *end.tolist()], fill=paint, width=whole)
    for point in (start, end):  # round ends; half a pixel less, or they bulge out of the line
        _disc(pen, point, (whole - 1) / 2, paint)


def _disc(
    pen: ImageDraw.ImageDraw, centre: FloatArray, radius: float, paint: tuple[int, ...]
) -> None:
    x, y = centre.tolist()
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=paint)


def _rgb(colour: FloatArray) -> tuple[int, ...]:
    return tuple(round(channel) for channel in colour.tolist())
