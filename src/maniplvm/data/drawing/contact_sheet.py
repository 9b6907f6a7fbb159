"""A contact sheet: many samples on one page, each with its target and its instruction."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from maniplvm.data.drawing.answers import PREDICTION, TRUTH, Drawable, Style, draw_answers, drawable
from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

_GAP = 16
_PAPER, _INK, _FAINT, _EMPTY = "#FFFFFF", "#1A1A1A", "#6E6E6E", "#D0D0D0"
_REMARK = "#9A4A00"
_MOST_LINES = 3
_LINE_HEIGHT = 1.3
_ELLIPSIS = "…"


@dataclass(frozen=True)
class Remark:
    """What is shown of a prediction beside the target.

    Attributes:
        value: The prediction [px of the original image], or None when there is nothing to draw.
        text: One line for the caption, such as the score.
    """

    value: Drawable | None
    text: str


def contact_sheet(
    samples: Iterable[Sample],
    columns: int = 4,
    tile: int = 320,
    remarks: Sequence[Remark] | None = None,
) -> Image.Image:
    """Draw samples in rows, each with its target, its instruction, its id and its task.

    Args:
        samples: What to show; a sample without an image gets a grey one of its size.
        columns: Tiles in a row; fewer samples make a narrower sheet.
        tile: The width of a tile, and the most height of its image [px].
        remarks: One for each sample, to draw a prediction over the target.

    Raises:
        ValueError: another number of remarks than of samples.
        UserError: there are no samples, a size is not positive, or an image cannot be decoded.
    """
    shown = list(samples)
    if not shown:
        raise UserError("there is no sample to show; choose another split or task")
    if columns < 1 or tile < 1:
        raise UserError(
            f"a sheet of {columns} columns of {tile} px cannot be drawn; use positive numbers"
        )
    columns = min(columns, len(shown))
    notes = [None] * len(shown) if remarks is None else remarks
    tiles = [_tile(sample, note, tile) for sample, note in zip(shown, notes, strict=True)]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new(
        "RGB",
        (_GAP + columns * (tile + _GAP), _GAP + sum(heights) + _GAP * len(rows)),
        _PAPER,
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


def _tile(sample: Sample, remark: Remark | None, tile: int) -> Image.Image:
    picture = _image(sample, remark, tile)
    lines = _caption(sample, remark, tile)
    below = picture.height + _GAP // 2
    image = Image.new("RGB", (tile, below + sum(line.height for line in lines)), _PAPER)
    image.paste(picture, ((tile - picture.width) // 2, 0))
    pen = ImageDraw.Draw(image)
    for line in lines:
        pen.text((0, below), line.text, line.colour, ImageFont.load_default(line.size))
        below += line.height
    return image


def _caption(sample: Sample, remark: Remark | None, tile: int) -> list[_Line]:
    large, small = max(12, tile // 19), max(10, tile // 25)
    name = _plain(f"{sample.task} · {sample.id}")
    said = [] if remark is None else _wrapped(remark.text, small, tile)
    return [
        *(_Line(text, large, _INK) for text in _wrapped(sample.instruction, large, tile)),
        *(_Line(text, small, _REMARK) for text in said),
        _Line(_shortened(name, small, tile), small, _FAINT),
    ]


def _image(sample: Sample, remark: Remark | None, tile: int) -> Image.Image:
    width, height = sample.image_size
    if sample.image is None:
        image = Image.new("RGB", sample.image_size, _EMPTY)
    else:
        image = _decoded(sample.image, sample.id)
    shown = max(1, round(width * tile / max(width, height)))
    if remark is None:
        return draw_answers(image, [(sample.target, TRUTH)], width=shown, legend=False)
    answers: list[tuple[Drawable, Style]] = [(sample.target, TRUTH)]
    if remark.value is not None:
        answers.append((drawable(remark.value, sample.task), PREDICTION))
    return draw_answers(image, answers, width=shown)


def _decoded(data: bytes, sample_id: str) -> Image.Image:
    try:
        return decode(data, f"the image of sample {sample_id!r}")
    except RecordError as error:
        raise UserError(f"{error.cause}: {error.detail}") from error


def _plain(text: str) -> str:
    """Without accents: Pillow's own font knows only basic Latin letters."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Lines that fit a width [px]; what does not fit into the last one ends in an ellipsis."""
    lines = [""]
    for word in _plain(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _length(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    kept, rest = lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1 :]
    return [_shortened(line, size, width) for line in (*kept, *([" ".join(rest)] if rest else []))]


def _shortened(text: str, size: int, width: int) -> str:
    if _length(text, size) <= width:
        return text
    while text and _length(text + _ELLIPSIS, size) > width:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS


def _length(text: str, size: int) -> float:
    return ImageFont.load_default(size).getlength(text)
