"""Images with targets and answers as inline SVG.

Each distinct image is stored once in the page. Sample cards refer to it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike
from PIL import Image

from maniplvm.data import PREDICTION_STYLE, TARGET_STYLE, Dataset, Style, zoom_region
from maniplvm.data.drawing.primitives import arrow_head
from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.report.charts.chart import svg_points
from maniplvm.evaluation.report.html import tag
from maniplvm.evaluation.report.sample_metrics import matches_target
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import BoxTarget, RegionTarget, TraceTarget
from maniplvm.tasks.sample import Target

MAX_IMAGE_BYTES = 20_000
"""Largest size of an image [bytes]. About 100 images must fit into a page of 4 MB."""

_SHRINKING = ((360, 84), (360, 72), (300, 70), (240, 60), (180, 50), (120, 40))
"""Longest side [px] and JPEG quality, in the order in which they are tried."""

_STROKE = 1 / 85
_HEAD_LENGTH = 4.5
_INSET_FRACTION = 0.4


class PageImages:
    """The distinct images of a page, as small JPEG files.

    Attributes:
        dataset: The dataset with the images.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._name_of: dict[bytes, str] = {}
        self._symbols: list[Markup] = []
        self._samples: dict[str, tuple[str, Target]] = {}

    def add(self, record: ScoredSample) -> tuple[str, Target]:
        """Add the image of a record. Returns its HTML id, and the target of the sample.

        Raises:
            UserError: The dataset has no such sample, the sample has another target, or its image
                cannot be read.
        """
        if record.id not in self._samples:
            self._samples[record.id] = self._add_sample(record)
        return self._samples[record.id]

    def _add_sample(self, record: ScoredSample) -> tuple[str, Target]:
        sample = self.dataset.sample(record.id)
        if not matches_target(record.target, sample.target):
            raise UserError(
                f"{self.dataset.folder}: sample {sample.id} has another target than in "
                "the evaluation; give the evaluated dataset"
            )
        encoded = sample.image or b""
        if encoded not in self._name_of:
            self._name_of[encoded] = f"p{len(self._name_of)}"
            self._symbols.append(self._symbol(encoded, sample.id))
        return self._name_of[encoded], sample.target

    def symbols(self) -> Markup:
        """The hidden SVG element with all images."""
        return tag(
            "svg",
            tag("defs", *self._symbols),
            class_="page-images",
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
            image = decode(encoded, f"the image of sample {sample_id}")
        except RecordError as error:
            raise UserError(f"{self.dataset.folder}: {error.detail}") from error
        data, (width, height) = _encode_small(image)
        address = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
        element = tag("image", href=address, width=width, height=height)
        return tag(
            "symbol", element, id=name, viewBox=f"0 0 {width} {height}", preserveAspectRatio="none"
        )


def _encode_small(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """Encode as JPEG of at most `MAX_IMAGE_BYTES` if possible, and return the image size too."""
    data, size = b"", image.size
    for side, quality in _SHRINKING:
        shrunk, buffer = image.copy(), io.BytesIO()
        shrunk.thumbnail((side, side), Image.Resampling.LANCZOS)
        shrunk.save(buffer, "JPEG", quality=quality, optimize=True)
        data, size = buffer.getvalue(), shrunk.size
        if len(data) <= MAX_IMAGE_BYTES:
            break
    return data, size


_Shapes = Sequence[tuple[str, FloatArray, Style]]
"""Kind, points `(N, 2)` [px] and style of each shape, in drawing order."""


def draw_overlay(
    image: str,
    size: tuple[int, int],
    target: Target | ArrayLike,
    answer: ArrayLike | None,
    label: str,
) -> Markup:
    """Draw an image with its target and an answer.

    Args:
        image: HTML id of the image in `PageImages`.
        size: `(width, height)` of the original image [px].
        target: A region, a box `(4,)` or a trace `(N, 2)` [px].
        answer: A box `(4,)`, a trace `(N, 2)`, or points `(N, 2)` if the target is not a trace [px].
            None if no answer was parsed.
        label: Text for screen readers.
    """
    shapes = _target_shapes(target)
    if answer is not None:
        is_points = all(kind != "trace" for kind, _, _ in shapes)
        shapes.append(_answer_shape(answer, PREDICTION_STYLE, is_points=is_points))
    width, height = size
    stroke = min(size) * _STROKE
    parts = [
        tag("title", label),
        tag("use", href=f"#{image}", width=width, height=height),
        *(_shape(kind, points, style, stroke) for kind, points, style in shapes),
    ]
    unordered = [points for kind, points, _ in shapes if kind != "trace"]
    region = zoom_region(unordered, size) if len(unordered) == len(shapes) else None
    if region is not None:
        parts.append(_inset(image, size, shapes, region))
    return tag("svg", *parts, class_="overlay", role="img", viewBox=f"0 0 {width} {height}")


def _target_shapes(target: Target | ArrayLike) -> list[tuple[str, FloatArray, Style]]:
    if isinstance(target, RegionTarget):
        return [("outline", outline, TARGET_STYLE) for outline in target.outlines]
    if isinstance(target, BoxTarget):
        return [("box", target.points, TARGET_STYLE)]
    points = target.points if isinstance(target, TraceTarget) else target
    return [_answer_shape(points, TARGET_STYLE, is_points=False)]


def _answer_shape(
    numbers: ArrayLike, style: Style, *, is_points: bool
) -> tuple[str, FloatArray, Style]:
    points = np.asarray(numbers, dtype=np.float64)
    kind = "box" if points.ndim == 1 else "points" if is_points else "trace"
    return kind, points.reshape(-1, 2), style


def _inset(
    image: str,
    size: tuple[int, int],
    shapes: _Shapes,
    region: FloatArray,
) -> Markup:
    """Magnified view of small shapes, in the opposite corner of the image."""
    width, height = size
    side, inset_size = float(region[2] - region[0]), min(size) * _INSET_FRACTION
    centre = (region[:2] + region[2:]) / 2
    x = 0.0 if centre[0] > width / 2 else width - inset_size
    y = 0.0 if centre[1] > height / 2 else height - inset_size
    inner = [
        tag("use", href=f"#{image}", width=width, height=height),
        *(_shape(kind, points, style, side / 45) for kind, points, style in shapes),
    ]
    frame = {"fill": "none", "stroke": "#fff", "stroke_width": min(size) / 130}
    return Markup("").join(
        (
            tag(
                "svg",
                *inner,
                x=x,
                y=y,
                width=inset_size,
                height=inset_size,
                viewBox=f"{region[0]:.2f} {region[1]:.2f} {side:.2f} {side:.2f}",
            ),
            tag("rect", x=x, y=y, width=inset_size, height=inset_size, **frame),
            tag("rect", x=float(region[0]), y=float(region[1]), width=side, height=side, **frame),
        )
    )


def _shape(kind: str, points: FloatArray, style: Style, stroke: float) -> Markup:
    """Draw one shape. A trace starts with a ring and ends with an arrow head."""
    return _DRAW_FUNCTIONS[kind](points, style, stroke)


def _dashes(style: Style, stroke: float) -> str | None:
    return f"{stroke * 3:.2f} {stroke * 2:.2f}" if style.is_dashed else None


def _box(box: FloatArray, style: Style, stroke: float) -> Markup:
    x1, y1, x2, y2 = box.reshape(4).tolist()
    grown = stroke / 2
    attributes = {
        "x": x1 - grown,
        "y": y1 - grown,
        "width": max(0.0, x2 - x1) + stroke,
        "height": max(0.0, y2 - y1) + stroke,
        "fill": "none",
    }
    halo = tag("rect", **attributes, class_="halo", stroke_width=stroke * 1.9)
    line = tag(
        "rect",
        **attributes,
        stroke=style.colour,
        stroke_width=stroke,
        stroke_dasharray=_dashes(style, stroke),
    )
    return halo + line


def _trace(points: FloatArray, style: Style, stroke: float) -> Markup:
    head = arrow_head(points, stroke * _HEAD_LENGTH)
    heads = [] if head is None else [tag("polygon", points=svg_points(head), fill=style.colour)]
    end = points[-1] if head is None else head.mean(axis=0)
    path = svg_points(np.vstack([points[:-1], end]))
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
            *heads,
            tag("circle", **ring, r=stroke * 1.8, fill=style.colour, class_="edge"),
            tag("circle", **ring, r=stroke * 0.9, fill="#fff"),
        )
    )


def _outline(points: FloatArray, style: Style, stroke: float) -> Markup:
    path = {"points": svg_points(points), "fill": "none"}
    halo = tag("polygon", **path, class_="halo", stroke_width=stroke * 1.9)
    dashes = _dashes(style, stroke)
    line = tag("polygon", **path, stroke=style.colour, stroke_width=stroke, stroke_dasharray=dashes)
    return halo + line


def _points(points: FloatArray, style: Style, stroke: float) -> Markup:
    """Draw each point as a path, centred on the point."""
    arm = stroke * 2.4
    crosses: list[Markup] = []
    for x, y in points.tolist():
        path = {"d": f"M{x - arm:.1f} {y:.1f}h{2 * arm:.1f}M{x:.1f} {y - arm:.1f}v{2 * arm:.1f}"}
        crosses.append(tag("path", **path, class_="halo", stroke_width=stroke * 2.2))
        crosses.append(tag("path", **path, stroke=style.colour, stroke_width=stroke * 1.2))
    return Markup("").join(crosses)


_DRAW_FUNCTIONS = {"box": _box, "trace": _trace, "outline": _outline, "points": _points}
