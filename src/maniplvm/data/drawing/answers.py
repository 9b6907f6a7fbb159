"""Draws boxes, traces, regions and points on an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from maniplvm.data.drawing.primitives import (
    draw_box,
    draw_crosses,
    draw_line,
    draw_outline,
    draw_trace,
)
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Target, Task, TraceTarget


@dataclass(frozen=True)
class Style:
    """How one answer is drawn.

    Attributes:
        label: The name in the legend.
        colour: The colour, in any notation that Pillow reads.
        is_dashed: Whether lines are dashed, so that answers differ by more than their colour.
    """

    label: str
    colour: str
    is_dashed: bool = False


TARGET_STYLE = Style("target", "#2FC4F0")
"""Sky blue, solid. Every kind of colour vision can tell it from `PREDICTION_STYLE`."""

PREDICTION_STYLE = Style("prediction", "#FF9A1F", is_dashed=True)
"""Orange, dashed."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points without an order: the answer of the pointing task.

    Attributes:
        points: `(N, 2)` [px of the original image].
    """

    points: FloatArray


AnswerLike: TypeAlias = Target | Points | ArrayLike
"""A target, `Points`, or an array: `(4,)` is a box, `(N, 2)` a trace [px of the original image]."""

_SUPERSAMPLING = 3
_LEGEND_BACKGROUND = "#202020"
_RELATIVE_THICKNESS = 1 / 115
_ZOOM_RELATIVE_THICKNESS = 1 / 60
_ZOOM_BELOW = 0.1
_ZOOM_RELATIVE_SIZE = 0.38
_ZOOM_MARGIN = 3.0
_ZOOM_MIN_SIDE = 40.0
_MAX_COORDINATE = 1e5


def as_answer(value: AnswerLike, task: Task) -> AnswerLike:
    """Wrap the array of a pointing answer in `Points`, so that it is not drawn as a trace."""
    if task is not Task.POINTING or isinstance(
        value, BoxTarget | TraceTarget | RegionTarget | Points
    ):
        return value
    return Points(np.asarray(value, dtype=np.float64))


def draw_answer(
    image: Image.Image,
    answer: AnswerLike,
    style: Style = TARGET_STYLE,
    *,
    width: int | None = None,
    zoom: bool = True,
) -> Image.Image:
    """Draw one answer on a copy of an image; see `draw_answers`."""
    return draw_answers(image, [(answer, style)], width=width, legend=False, zoom=zoom)


def draw_answers(
    image: Image.Image,
    answers: Sequence[tuple[AnswerLike, Style]],
    *,
    width: int | None = None,
    legend: bool = True,
    zoom: bool = True,
) -> Image.Image:
    """Draw answers on a copy of an image. The last one is on top.

    A box is an outline around its outside, so that its content stays visible. A trace starts with a
    ring, ends with an arrow head, and is pale at its start. A region is an outline. Points are
    crosses.

    Args:
        image: The original image. Answers are in its pixels.
        answers: The answers with their styles, such as the target and a prediction.
        width: The width of the result [px]; None keeps the width of the image.
        legend: Whether a strip below the image names the styles.
        zoom: Whether tiny boxes are magnified in the farthest corner of the image.

    Raises:
        ValueError: an answer has neither shape `(4,)` nor `(N, 2)`, or is not finite.
    """
    shapes = [(shape, style) for answer, style in answers for shape in _Shape.all_of(answer)]
    full_view = np.array([0.0, 0.0, *image.size])
    out_width = image.width if width is None else width
    size = (out_width, max(1, round(image.height * out_width / image.width)))
    drawn = _render(image, shapes, full_view, size)
    compact = [shape.points for shape, _ in shapes if shape.kind in _ZOOMED] if zoom else []
    view = zoom_region(compact, image.size) if len(compact) == len(shapes) else None
    if view is not None:
        _add_zoom(drawn, image, shapes, view)
    return _add_legend(drawn, [style for _, style in answers]) if legend else drawn


@dataclass(frozen=True)
class _Shape:
    """Points `(N, 2)` [px] and how they are drawn; a box has its two corners."""

    points: FloatArray
    kind: str

    @staticmethod
    def all_of(answer: AnswerLike) -> list[_Shape]:
        if isinstance(answer, RegionTarget):
            outlines = list(answer.outlines)
            crosses = [] if answer.marks is None else [_Shape(answer.marks, "crosses")]
            return [*(_Shape(outline, "outline") for outline in outlines), *crosses]
        return [_Shape.of(answer)]

    @staticmethod
    def of(answer: BoxTarget | TraceTarget | Points | ArrayLike) -> _Shape:
        if isinstance(answer, BoxTarget | TraceTarget):
            return _Shape(answer.points, "box" if isinstance(answer, BoxTarget) else "trace")
        is_points = isinstance(answer, Points)
        values = np.asarray(answer.points if is_points else answer, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("an answer must be finite to be drawn")
        if values.shape == (4,) and not is_points:
            return _Shape(values.reshape(2, 2), "box")
        if values.ndim == 2 and values.shape[1] == 2:
            return _Shape(values, "crosses" if is_points else "trace")
        raise ValueError(f"an answer has shape (4,) or (N, 2), got {values.shape}")

    def to_view(self, view: FloatArray, scale: FloatArray) -> _Shape:
        points = np.clip((self.points - view[:2]) * scale, -_MAX_COORDINATE, _MAX_COORDINATE)
        return _Shape(points, self.kind)


_DRAW = {
    "box": draw_box,
    "trace": draw_trace,
    "outline": draw_outline,
    "crosses": draw_crosses,
}
_ZOOMED = ("box", "outline", "crosses")
"""The kinds that are magnified if they are tiny. A trace is not, because it spans the image."""

_Shapes: TypeAlias = Sequence[tuple[_Shape, Style]]


def _render(
    image: Image.Image,
    shapes: _Shapes,
    view: FloatArray,
    size: tuple[int, int],
    relative_thickness: float = _RELATIVE_THICKNESS,
) -> Image.Image:
    """Render the part `view` (x1, y1, x2, y2) of an image at `size`, with the shapes on it."""
    x1, y1, x2, y2 = view.tolist()
    base = image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=(x1, y1, x2, y2))
    layer = Image.new("RGBA", (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING))
    draw = ImageDraw.Draw(layer)
    thickness = max(2.5, min(size) * relative_thickness) * _SUPERSAMPLING
    scale = np.array(layer.size) / (view[2:] - view[:2])
    for shape, style in shapes:
        moved = shape.to_view(view, scale)
        _DRAW[shape.kind](draw, moved.points, style.colour, style.is_dashed, thickness)
    layer = layer.resize(size, Image.Resampling.BOX)
    return Image.alpha_composite(base.convert("RGBA"), layer).convert("RGB")


def zoom_region(boxes: Sequence[FloatArray], size: tuple[int, int]) -> FloatArray | None:
    """The square part of an image to magnify if all boxes in it are tiny.

    Args:
        boxes: The corners `(2, 2)` [px] of each box.
        size: `(width, height)` of the image [px].

    Returns:
        `(4,)` x1, y1, x2, y2 [px]; None if there are no boxes, or they are large enough to see.
    """
    if not boxes:
        return None
    limits = np.array(size, dtype=np.float64)
    corners = np.concatenate(boxes).clip(0, limits)
    low, high = corners.min(axis=0), corners.max(axis=0)
    largest = float((high - low).max())
    if largest > _ZOOM_BELOW * min(size):
        return None
    side = min(max(_ZOOM_MARGIN * largest, _ZOOM_MIN_SIDE), float(min(size)))
    origin = np.clip((low + high) / 2 - side / 2, 0, limits - side)
    return np.concatenate([origin, origin + side])


def _add_zoom(drawn: Image.Image, image: Image.Image, shapes: _Shapes, view: FloatArray) -> None:
    """Paste a magnified view into the corner that is farthest from the part it shows."""
    side = round(min(drawn.size) * _ZOOM_RELATIVE_SIZE)
    centre = (view[:2] + view[2:]) / 2 / np.array(image.size)
    x = 0 if centre[0] > 0.5 else drawn.width - side
    y = 0 if centre[1] > 0.5 else drawn.height - side
    inset = _render(image, shapes, view, (side, side), _ZOOM_RELATIVE_THICKNESS)
    drawn.paste(inset, (x, y))
    draw = ImageDraw.Draw(drawn)
    line_width = max(1, round(side / 90))
    draw.rectangle([x, y, x + side - 1, y + side - 1], outline="white", width=line_width + 1)
    source = (view.reshape(2, 2) * (np.array(drawn.size) / np.array(image.size))).round()
    draw.rectangle(source.reshape(4).tolist(), outline="white", width=line_width)


def _add_legend(drawn: Image.Image, styles: Sequence[Style]) -> Image.Image:
    """Add a strip below the image that names each style once."""
    unique = list(dict.fromkeys(styles))
    text_size = max(12, round(min(drawn.size) / 26)) * _SUPERSAMPLING
    font = ImageFont.load_default(text_size)
    strip = Image.new("RGB", (drawn.width * _SUPERSAMPLING, text_size * 2), _LEGEND_BACKGROUND)
    draw = ImageDraw.Draw(strip)
    x, middle = float(text_size), strip.height / 2
    for style in unique:
        ends = np.array([[x, middle], [x + 2.2 * text_size, middle]])
        draw_line(draw, ends, style.colour, style.is_dashed, text_size / 5)
        draw.text((x + 2.8 * text_size, middle), style.label, "white", font, anchor="lm")
        x += 4.5 * text_size + draw.textlength(style.label, font)
    strip = strip.reduce(_SUPERSAMPLING)
    result = Image.new("RGB", (drawn.width, drawn.height + strip.height), _LEGEND_BACKGROUND)
    result.paste(drawn, (0, 0))
    result.paste(strip, (0, drawn.height))
    return result
