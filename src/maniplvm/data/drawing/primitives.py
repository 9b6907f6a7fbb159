"""Drawing primitives that stay visible on any photograph: a dark halo below, the colour above."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import ImageColor, ImageDraw

from maniplvm.geometry.arrays import FloatArray

_HALO = (0, 0, 0, 150)
_HALO_WIDTH = 1.9
_PALE = 0.65
_HEAD_LENGTH = 5.0


def draw_box(
    draw: ImageDraw.ImageDraw, corners: FloatArray, colour: str, is_dashed: bool, thickness: float
) -> None:
    """Draw the outline of a box `(2, 2)` [px] around its outside."""
    low, high = corners.min(axis=0) - thickness / 2, corners.max(axis=0) + thickness / 2
    outline = np.array([low, [high[0], low[1]], high, [low[0], high[1]], low])
    draw_line(draw, outline, colour, is_dashed, thickness)


def draw_outline(
    draw: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, thickness: float
) -> None:
    """Draw the outline of a polygon `(M, 2)` [px]."""
    draw_line(draw, np.concatenate([points, points[:1]]), colour, is_dashed, thickness)


def draw_crosses(
    draw: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, thickness: float
) -> None:
    """Draw a cross at each point `(N, 2)` [px]; it is diagonal if the style is dashed."""
    arm = thickness * 2.6
    arms = np.array([[arm, 0.0], [0.0, arm]])
    if is_dashed:
        arms = np.array([[1.0, 1.0], [1.0, -1.0]]) * arm * np.sqrt(0.5)
    for width, fill in ((thickness * _HALO_WIDTH, _HALO), (thickness, ImageColor.getrgb(colour))):
        for point in points:
            for offset in arms:
                _draw_segment(draw, point - offset, point + offset, width, fill)


def draw_line(
    draw: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, thickness: float
) -> None:
    """Draw a path `(N, 2)` [px] in one colour."""
    pieces = list(_split_path(points, thickness, is_dashed))
    for width, fill in ((thickness * _HALO_WIDTH, _HALO), (thickness, ImageColor.getrgb(colour))):
        for start, end, _ in pieces:
            _draw_segment(draw, start, end, width, fill)


def draw_trace(
    draw: ImageDraw.ImageDraw, points: FloatArray, colour: str, is_dashed: bool, thickness: float
) -> None:
    """Draw a path `(N, 2)` [px] from a ring to an arrow head. Its colour is pale at the start."""
    if len(points) == 0:
        return
    full = np.array(ImageColor.getrgb(colour)[:3], dtype=np.float64)
    head = arrow_head(points, thickness * _HEAD_LENGTH)
    covered = 0.0 if head is None else thickness * _HEAD_LENGTH / 2
    length = float(np.hypot(*np.diff(points, axis=0).T).sum())
    pieces = [
        piece
        for piece in _split_path(points, thickness, is_dashed)
        if (1 - piece[2]) * length >= covered
    ]
    for start, end, _ in pieces:
        _draw_segment(draw, start, end, thickness * _HALO_WIDTH, _HALO)
    for start, end, progress in pieces:
        shade = full + (255 - full) * _PALE * (1 - progress)
        _draw_segment(draw, start, end, thickness, _rgb(shade))
    for point in points[1:-1]:
        _draw_disc(draw, point, thickness * 1.1, _rgb(full))
    if head is not None:
        draw.polygon([tuple(corner) for corner in head.tolist()], fill=_rgb(full), outline=_HALO)
    _draw_disc(draw, points[0], thickness * 2.1, _HALO)
    _draw_disc(draw, points[0], thickness * 1.7, _rgb(full))
    _draw_disc(draw, points[0], thickness * 0.9, (255, 255, 255))


def arrow_head(points: FloatArray, length: float) -> FloatArray | None:
    """The arrow head of a path: a triangle `(3, 2)` [px] along its last part.

    Args:
        points: The path `(N, 2)` [px].
        length: The length of the head [px].

    Returns:
        The tip and the two back corners, or None if all points are equal.
    """
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


def _split_path(
    points: FloatArray, thickness: float, is_dashed: bool
) -> Iterator[tuple[FloatArray, FloatArray, float]]:
    """Split a path into short pieces `(start, end, progress 0..1)`; dashes skip two of four."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    total = float(lengths.sum())
    step = max(thickness * 2, total / 600)
    index = 0
    travelled = 0.0
    for start, end, length in zip(points[:-1], points[1:], lengths.tolist(), strict=True):
        count = max(1, round(length / step))
        for i in range(count):
            if not (is_dashed and index % 4 >= 2):
                a, b = (
                    start + (end - start) * (i / count),
                    start + (end - start) * ((i + 1) / count),
                )
                yield a, b, (travelled + length * (i + 0.5) / count) / max(total, 1e-9)
            index += 1
        travelled += length


def _draw_segment(
    draw: ImageDraw.ImageDraw,
    start: FloatArray,
    end: FloatArray,
    width: float,
    fill: tuple[int, ...],
) -> None:
    line_width = max(1, round(width))
    draw.line([*start.tolist(), *end.tolist()], fill=fill, width=line_width)
    for point in (start, end):  # round ends; half a pixel less, or they are wider than the line
        _draw_disc(draw, point, (line_width - 1) / 2, fill)


def _draw_disc(
    draw: ImageDraw.ImageDraw, centre: FloatArray, radius: float, fill: tuple[int, ...]
) -> None:
    x, y = centre.tolist()
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill)


def _rgb(colour: FloatArray) -> tuple[int, ...]:
    return tuple(round(channel) for channel in colour.tolist())
