"""Pictures with answers over them, as inline SVG: crisp at any size, and small.

Each picture stands once in the page and is referred to from every card that shows it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from maniplvm.data import PREDICTION, TRUTH, Dataset, Style, zoom_region
from maniplvm.data.strokes import arrow_head
from maniplvm.errors import UserError
from maniplvm.evaluation.report.marks import tag
from maniplvm.evaluation.scored import ScoredSample

FloatArray = NDArray[np.float64]

MOST_BYTES = 20_000
"""Of one picture: about a hundred of them must fit into a page of 4 MB."""

_SHRINKING = ((360, 84), (360, 72), (300, 70), (240, 60), (180, 50), (120, 40))
"""Longest side [px] and JPEG quality, tried until the picture is small enough."""

_STROKE = 1 / 85
_HEAD_LENGTH = 4.5
_ZOOM_SHARE = 0.4


class Album:
    """The pictures of a page, each once, made small.

    Attributes:
        dataset: Where the pictures come from.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._name_of: dict[bytes, str] = {}
        self._symbols: list[Markup] = []

    def name(self, record: ScoredSample) -> str:
        """The name by which a card refers to the picture of a record.

        Raises:
            UserError: the data set lacks the sample, holds it with another target, or its picture
                cannot be read.
        """
        sample = self.dataset.sample(record.id)
        expected = np.asarray(record.target, dtype=np.float64)
        same = sample.target.points.reshape(-1)
        if expected.size != same.size or not np.allclose(expected.reshape(-1), same, atol=0.01):
            raise UserError(
                f"{self.dataset.folder}: sample {sample.id} has another target than the "
                "evaluation; name the data set that was evaluated"
            )
        encoded = sample.image or b""
        if encoded not in self._name_of:
            self._name_of[encoded] = f"p{len(self._name_of)}"
            self._symbols.append(self._symbol(encoded, sample.id))
        return self._name_of[encoded]

    def symbols(self) -> Markup:
        """The hidden element that holds every picture."""
        return tag(
            "svg",
            tag("defs", *self._symbols),
            class_="album",
            aria_hidden="true",
            width=0,
            height=0,
        )

    def _symbol(self, encoded: bytes, sample_id: str) -> Markup:
        name = self._name_of[encoded]
        if not encoded:
            grey = tag("rect", width=1, height=1, fill="#888")
            return tag("symbol", grey, id=name, viewBox="0 0 1 1", preserveAspectRatio="none")
        try:
            with Image.open(io.BytesIO(encoded)) as opened:
                image = opened.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(
                f"{self.dataset.folder}: the picture of sample {sample_id} cannot be read ({error})"
            ) from error
        data, (width, height) = _small(image)
        address = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
        picture = tag("image", href=address, width=width, height=height)
        return tag(
            "symbol", picture, id=name, viewBox=f"0 0 {width} {height}", preserveAspectRatio="none"
        )


def _small(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """A JPEG of at most `MOST_BYTES` where its content allows, and its size."""
    data, size = b"", image.size
    for side, quality in _SHRINKING:
        shrunk, buffer = image.copy(), io.BytesIO()
        shrunk.thumbnail((side, side), Image.Resampling.LANCZOS)
        shrunk.save(buffer, "JPEG", quality=quality, optimize=True)
        data, size = buffer.getvalue(), shrunk.size
        if len(data) <= MOST_BYTES:
            break
    return data, size


def draw_overlay(
    picture: str, size: tuple[int, int], target: Any, answer: Any | None, label: str
) -> Markup:
    """A picture with its target and an answer.

    Args:
        picture: Its name in the album.
        size: `(width, height)` [px of the original image].
        target: Box `(4,)` or trace `(N, 2)` [px].
        answer: The same, or None where none could be read.
        label: What a screen reader says.
    """
    shapes = [(np.asarray(target, dtype=np.float64), TRUTH)]
    if answer is not None:
        shapes.append((np.asarray(answer, dtype=np.float64), PREDICTION))
    width, height = size
    stroke = min(size) * _STROKE
    parts = [
        tag("title", label),
        tag("use", href=f"#{picture}", width=width, height=height),
        *(_shape(points, style, stroke) for points, style in shapes),
    ]
    boxes = [points.reshape(2, 2) for points, _ in shapes if points.ndim == 1]
    region = zoom_region(boxes, size) if len(boxes) == len(shapes) else None
    if region is not None:
        parts.append(_inset(picture, size, shapes, region))
    return tag("svg", *parts, class_="overlay", role="img", viewBox=f"0 0 {width} {height}")


def _inset(
    picture: str,
    size: tuple[int, int],
    shapes: Sequence[tuple[FloatArray, Style]],
    region: FloatArray,
) -> Markup:
    """A magnified view of tiny boxes, in the corner that is farthest from them."""
    width, height = size
    side, shown = float(region[2] - region[0]), min(size) * _ZOOM_SHARE
    centre = (region[:2] + region[2:]) / 2
    x = 0.0 if centre[0] > width / 2 else width - shown
    y = 0.0 if centre[1] > height / 2 else height - shown
    inner = [
        tag("use", href=f"#{picture}", width=width, height=height),
        *(_shape(points, style, side / 45) for points, style in shapes),
    ]
    frame = {"fill": "none", "stroke": "#fff", "stroke_width": min(size) / 130}
    return Markup("").join(
        (
            tag(
                "svg",
                *inner,
                x=x,
                y=y,
                width=shown,
                height=shown,
                viewBox=f"{region[0]:.2f} {region[1]:.2f} {side:.2f} {side:.2f}",
            ),
            tag("rect", x=x, y=y, width=shown, height=shown, **frame),
            tag("rect", x=float(region[0]), y=float(region[1]), width=side, height=side, **frame),
        )
    )


def _shape(points: FloatArray, style: Style, stroke: float) -> Markup:
    """A box is outlined from outside; a trace runs from a ring to an arrow head."""
    return _box(points, style, stroke) if points.ndim == 1 else _trace(points, style, stroke)


def _dashes(style: Style, stroke: float) -> str | None:
    return f"{stroke * 3:.2f} {stroke * 2:.2f}" if style.is_dashed else None


def _box(box: FloatArray, style: Style, stroke: float) -> Markup:
    x1, y1, x2, y2 = box.tolist()
    grown = stroke / 2
    place = {
        "x": x1 - grown,
        "y": y1 - grown,
        "width": max(0.0, x2 - x1) + stroke,
        "height": max(0.0, y2 - y1) + stroke,
        "fill": "none",
    }
    halo = tag("rect", **place, class_="halo", stroke_width=stroke * 1.9)
    line = tag(
        "rect",
        **place,
        stroke=style.colour,
        stroke_width=stroke,
        stroke_dasharray=_dashes(style, stroke),
    )
    return halo + line


def _trace(points: FloatArray, style: Style, stroke: float) -> Markup:
    head = arrow_head(points, stroke * _HEAD_LENGTH)
    tips = [] if head is None else [tag("polygon", points=_path(head), fill=style.colour)]
    end = points[-1] if head is None else head.mean(axis=0)
    path = _path(np.vstack([points[:-1], end]))
    start = points[0].tolist()
    ring = {"cx": start[0], "cy": start[1]}
    dots = [
        tag("circle", cx=x, cy=y, r=stroke * 1.05, fill=style.colour)
        for x, y in points[1:-1].tolist()
    ]
    return Markup("").join(
        (
            tag("polyline", points=path, class_="halo", fill="none", stroke_width=stroke * 1.9),
            tag(
                "polyline",
                points=path,
                fill="none",
                stroke=style.colour,
                stroke_width=stroke,
                stroke_linejoin="round",
                stroke_dasharray=_dashes(style, stroke),
            ),
            *dots,
            *tips,
            tag("circle", **ring, r=stroke * 1.8, fill=style.colour, class_="edge"),
            tag("circle", **ring, r=stroke * 0.9, fill="#fff"),
        )
    )


def _path(points: FloatArray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())
