"""Draws a contact sheet: many samples in one image, each with its target and its instruction."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from maniplvm.data.drawing.answers import (
    PREDICTION_STYLE,
    TARGET_STYLE,
    AnswerLike,
    Style,
    as_answer,
    draw_answers,
)
from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

_GAP = 16
_BACKGROUND, _NO_IMAGE = "#FFFFFF", "#D0D0D0"
_TEXT, _ID_TEXT, _CAPTION_TEXT = "#1A1A1A", "#6E6E6E", "#9A4A00"
_MAX_LINES = 3
_LINE_HEIGHT = 1.3
_ELLIPSIS = "…"


@dataclass(frozen=True)
class Annotation:
    """A prediction that is drawn over the target, with a caption.

    Attributes:
        prediction: The prediction [px of the original image], or None if there is none to draw.
        caption: A line of text, such as the score.
    """

    prediction: AnswerLike | None
    caption: str


def contact_sheet(
    samples: Iterable[Sample],
    columns: int = 4,
    tile: int = 320,
    annotations: Sequence[Annotation] | None = None,
) -> Image.Image:
    """Draw samples in rows, each with its target, its instruction, its id and its task.

    Args:
        samples: The samples to draw. A sample without an image gets a grey image of its size.
        columns: The number of tiles in a row. Fewer samples make a narrower sheet.
        tile: The width of a tile and the maximum height of its image [px].
        annotations: One annotation for each sample, to draw a prediction over the target.

    Raises:
        ValueError: the numbers of annotations and samples differ.
        UserError: there are no samples, a size is not positive, or an image cannot be decoded.
    """
    shown = list(samples)
    if not shown:
        raise UserError("there are no samples to draw; choose another split or task")
    if columns < 1 or tile < 1:
        raise UserError(
            f"cannot draw a sheet of {columns} columns of {tile} px; use positive numbers"
        )
    columns = min(columns, len(shown))
    notes = [None] * len(shown) if annotations is None else annotations
    tiles = [_draw_tile(sample, note, tile) for sample, note in zip(shown, notes, strict=True)]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new(
        "RGB",
        (_GAP + columns * (tile + _GAP), _GAP + sum(heights) + _GAP * len(rows)),
        _BACKGROUND,
    )
    y = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, image in enumerate(row):
            sheet.paste(image, (_GAP + column * (tile + _GAP), y))
        y += height + _GAP
    return sheet


@dataclass(frozen=True)
class _Line:
    text: str
    size: int
    colour: str

    @property
    def height(self) -> int:
        return round(self.size * _LINE_HEIGHT)


def _draw_tile(sample: Sample, annotation: Annotation | None, tile: int) -> Image.Image:
    annotated = _draw_image(sample, annotation, tile)
    lines = _caption(sample, annotation, tile)
    below = annotated.height + _GAP // 2
    image = Image.new("RGB", (tile, below + sum(line.height for line in lines)), _BACKGROUND)
    image.paste(annotated, ((tile - annotated.width) // 2, 0))
    draw = ImageDraw.Draw(image)
    for line in lines:
        draw.text((0, below), line.text, line.colour, ImageFont.load_default(line.size))
        below += line.height
    return image


def _caption(sample: Sample, annotation: Annotation | None, tile: int) -> list[_Line]:
    large, small = max(12, tile // 19), max(10, tile // 25)
    name = _without_accents(f"{sample.task} · {sample.id}")
    caption = [] if annotation is None else _wrap(annotation.caption, small, tile)
    return [
        *(_Line(text, large, _TEXT) for text in _wrap(sample.instruction, large, tile)),
        *(_Line(text, small, _CAPTION_TEXT) for text in caption),
        _Line(_shorten(name, small, tile), small, _ID_TEXT),
    ]


def _draw_image(sample: Sample, annotation: Annotation | None, tile: int) -> Image.Image:
    width, height = sample.image_size
    if sample.image is None:
        image = Image.new("RGB", sample.image_size, _NO_IMAGE)
    else:
        image = _decode(sample.image, sample.id)
    shown = max(1, round(width * tile / max(width, height)))
    if annotation is None:
        return draw_answers(image, [(sample.target, TARGET_STYLE)], width=shown, legend=False)
    answers: list[tuple[AnswerLike, Style]] = [(sample.target, TARGET_STYLE)]
    if annotation.prediction is not None:
        answers.append((as_answer(annotation.prediction, sample.task), PREDICTION_STYLE))
    return draw_answers(image, answers, width=shown)


def _decode(data: bytes, sample_id: str) -> Image.Image:
    try:
        return decode(data, f"the image of sample {sample_id!r}")
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error


def _without_accents(text: str) -> str:
    """Remove accents, because Pillow's default font has only basic Latin letters."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _wrap(text: str, size: int, width: int) -> list[str]:
    """Wrap a text to lines of a width [px]; the last line ends in an ellipsis if it is too long."""
    lines = [""]
    for word in _without_accents(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _length(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    kept, rest = lines[: _MAX_LINES - 1], lines[_MAX_LINES - 1 :]
    return [_shorten(line, size, width) for line in (*kept, *([" ".join(rest)] if rest else []))]


def _shorten(text: str, size: int, width: int) -> str:
    if _length(text, size) <= width:
        return text
    while text and _length(text + _ELLIPSIS, size) > width:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS


def _length(text: str, size: int) -> float:
    return ImageFont.load_default(size).getlength(text)
