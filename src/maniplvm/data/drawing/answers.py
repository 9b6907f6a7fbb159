"""Boxes, traces, regions and points over an image, so that a person can judge them at a glance."""

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
from maniplvm.tasks.sample import BoxTarget, FloatArray, Target, Task, TraceTarget
from maniplvm.tasks.targets import RegionTarget


@dataclass(frozen=True)
class Style:
    """How one answer is drawn.

    Attributes:
        label: Its name in the legend.
        colour: Any colour that Pillow knows.
        is_dashed: Dashed lines, so that two answers differ by more than their colour.
    """

    label: str
    colour: str
    is_dashed: bool = False


TRUTH = Style("truth", "#2FC4F0")
"""Sky blue, solid. With `PREDICTION` it stays apart for every kind of colour vision."""

PREDICTION = Style("prediction", "#FF9A1F", is_dashed=True)
"""Orange, dashed."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Points without an order: an answer to a pointing question.

    Attributes:
        points: `(N, 2)` [px of the original image].
    """

    points: FloatArray


Drawable: TypeAlias = Target | Marks | ArrayLike
"""A target or marks, or numbers: `(4,)` is a box, `(N, 2)` a trace [px of the original image]."""

_SUPERSAMPLING = 3
_STRIP = "#202020"
_STROKE_SHARE = 1 / 115
_ZOOM_STROKE_SHARE = 1 / 60
_ZOOM_BELOW = 0.1
_ZOOM_SHARE = 0.38
_ZOOM_MARGIN = 3.0
_ZOOM_LEAST_SIDE = 40.0
_FAR = 1e5


def drawable(value: Drawable, task: Task) -> Drawable:
    """An answer's numbers as what is drawn of them: points stay apart, a trace is a line."""
    if task is not Task.POINTING or isinstance(
        value, BoxTarget | TraceTarget | RegionTarget | Marks
    ):
        return value
    return Marks(np.asarray(value, dtype=np.float64))


def draw_answer(
    image: Image.Image,
    answer: Drawable,
    style: Style = TRUTH,
    *,
    width: int | None = None,
    zoom: bool = True,
) -> Image.Image:
    """A copy of an image with one answer drawn on it; see `draw_answers`."""
    return draw_answers(image, [(answer, style)], width=width, legend=False, zoom=zoom)


def draw_answers(
    image: Image.Image,
    answers: Sequence[tuple[Drawable, Style]],
    *,
    width: int | None = None,
    legend: bool = True,
    zoom: bool = True,
) -> Image.Image:
    """A copy of an image with answers drawn on it, the last one on top.

    A box is outlined from outside, so that its content stays visible. A trace runs from a ring
    (start) to an arrow head (end) and grows stronger on its way. A region is outlined, its data set's
    own marks small; marks are crosses.

    Args:
        image: The original image; answers are in its pixels.
        answers: Each with its style; for example the truth and a prediction.
        width: The width of the result [px]; None keeps the image's.
        legend: Name the styles in a strip below the image.
        zoom: Where boxes are tiny, add a magnified view of them in the farthest corner.

    Raises:
        ValueError: an answer is neither `(4,)` nor `(N, 2)`, or not finite.
    """
    shapes = [(shape, style) for answer, style in answers for shape in _Shape.all_of(answer)]
    whole = np.array([0.0, 0.0, *image.size])
    out_width = image.width if width is None else width
    size = (out_width, max(1, round(image.height * out_width / image.width)))
    drawn = _render(image, shapes, whole, size)
    tight = [shape.points for shape, _ in shapes if shape.kind in _TIGHT] if zoom else []
    view = zoom_region(tight, image.size) if len(tight) == len(shapes) else None
    if view is not None:
        _add_zoom(drawn, image, shapes, view)
    return _with_legend(drawn, [style for _, style in answers]) if legend else drawn


@dataclass(frozen=True)
class _Shape:
    """Vertices `(N, 2)` [px]; a box has its two corners."""

    points: FloatArray
    kind: str

    @staticmethod
    def all_of(answer: Drawable) -> list[_Shape]:
        if isinstance(answer, RegionTarget):
            outlines = list(answer.outlines)
            marks = [] if answer.marks is None else [_Shape(answer.marks, "crosses")]
            return [*(_Shape(outline, "outline") for outline in outlines), *marks]
        return [_Shape.of(answer)]

    @staticmethod
    def of(answer: BoxTarget | TraceTarget | Marks | ArrayLike) -> _Shape:
        if isinstance(answer, BoxTarget | TraceTarget):
            return _Shape(answer.points, "box" if isinstance(answer, BoxTarget) else "trace")
        is_marks = isinstance(answer, Marks)
        values = np.asarray(answer.points if is_marks else answer, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("an answer that is drawn must be finite")
        if values.shape == (4,) and not is_marks:
            return _Shape(values.reshape(2, 2), "box")
        if values.ndim == 2 and values.shape[1] == 2:
            return _Shape(values, "crosses" if is_marks else "trace")
        raise ValueError(f"an answer has shape (4,) or (N, 2), got {values.shape}")

    def moved(self, view: FloatArray, scale: FloatArray) -> _Shape:
        points = np.clip((self.points - view[:2]) * scale, -_FAR, _FAR)
        return _Shape(points, self.kind)


_DRAW = {
    "box": draw_box,
    "trace": draw_trace,
    "outline": draw_outline,
    "crosses": draw_crosses,
}
_TIGHT = ("box", "outline", "crosses")
"""What is magnified where it is tiny: a trace is not, it runs through the image."""


_Shapes: TypeAlias = Sequence[tuple[_Shape, Style]]


def _render(
    image: Image.Image,
    shapes: _Shapes,
    view: FloatArray,
    size: tuple[int, int],
    stroke_share: float = _STROKE_SHARE,
) -> Image.Image:
    """The part `view` (x1, y1, x2, y2) of an image at `size`, with the shapes over it."""
    x1, y1, x2, y2 = view.tolist()
    base = image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=(x1, y1, x2, y2))
    layer = Image.new("RGBA", (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING))
    pen = ImageDraw.Draw(layer)
    stroke = max(2.5, min(size) * stroke_share) * _SUPERSAMPLING
    scale = np.array(layer.size) / (view[2:] - view[:2])
    for shape, style in shapes:
        moved = shape.moved(view, scale)
        _DRAW[shape.kind](pen, moved.points, style.colour, style.is_dashed, stroke)
    layer = layer.resize(size, Image.Resampling.BOX)
    return Image.alpha_composite(base.convert("RGBA"), layer).convert("RGB")


def zoom_region(boxes: Sequence[FloatArray], size: tuple[int, int]) -> FloatArray | None:
    """The square part of an image to magnify where every box on it is tiny.

    Args:
        boxes: The corners `(2, 2)` [px] of each.
        size: `(width, height)` of the image [px].

    Returns:
        `(4,)` x1, y1, x2, y2 [px]; None without boxes, or where they are large enough to see.
    """
    if not boxes:
        return None
    limits = np.array(size, dtype=np.float64)
    corners = np.concatenate(boxes).clip(0, limits)
    low, high = corners.min(axis=0), corners.max(axis=0)
    largest = float((high - low).max())
    if largest > _ZOOM_BELOW * min(size):
        return None
    side = min(max(_ZOOM_MARGIN * largest, _ZOOM_LEAST_SIDE), float(min(size)))
    origin = np.clip((low + high) / 2 - side / 2, 0, limits - side)
    return np.concatenate([origin, origin + side])


def _add_zoom(drawn: Image.Image, image: Image.Image, shapes: _Shapes, view: FloatArray) -> None:
    """Paste a magnified view into the corner that is farthest from what it shows."""
    side = round(min(drawn.size) * _ZOOM_SHARE)
    centre = (view[:2] + view[2:]) / 2 / np.array(image.size)
    x = 0 if centre[0] > 0.5 else drawn.width - side
    y = 0 if centre[1] > 0.5 else drawn.height - side
    inset = _render(image, shapes, view, (side, side), _ZOOM_STROKE_SHARE)
    drawn.paste(inset, (x, y))
    pen = ImageDraw.Draw(drawn)
    frame = max(1, round(side / 90))
    pen.rectangle([x, y, x + side - 1, y + side - 1], outline="white", width=frame + 1)
    where = (view.reshape(2, 2) * (np.array(drawn.size) / np.array(image.size))).round()
    pen.rectangle(where.reshape(4).tolist(), outline="white", width=frame)


def _with_legend(drawn: Image.Image, styles: Sequence[Style]) -> Image.Image:
    """The image with a strip below it that names each style once."""
    unique = list(dict.fromkeys(styles))
    text_size = max(12, round(min(drawn.size) / 26)) * _SUPERSAMPLING
    font = ImageFont.load_default(text_size)
    strip = Image.new("RGB", (drawn.width * _SUPERSAMPLING, text_size * 2), _STRIP)
    pen = ImageDraw.Draw(strip)
    x, middle = float(text_size), strip.height / 2
    for style in unique:
        ends = np.array([[x, middle], [x + 2.2 * text_size, middle]])
        draw_line(pen, ends, style.colour, style.is_dashed, text_size / 5)
        pen.text((x + 2.8 * text_size, middle), style.label, "white", font, anchor="lm")
        x += 4.5 * text_size + pen.textlength(style.label, font)
    strip = strip.reduce(_SUPERSAMPLING)
    result = Image.new("RGB", (drawn.width, drawn.height + strip.height), _STRIP)
    result.paste(drawn, (0, 0))
    result.paste(strip, (0, drawn.height))
    return result
