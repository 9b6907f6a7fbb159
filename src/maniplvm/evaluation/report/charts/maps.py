"""Where in the image answers go wrong: the mean score over places of the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.html.tags import tag
from maniplvm.evaluation.report.sample_metrics import Judged
from maniplvm.geometry.arrays import FloatArray, IntArray
from maniplvm.tasks import Task

COLUMNS, ROWS = 6, 5
FEW = 5
"""A cell of fewer answers is not coloured."""

_WIDTH, _LEFT, _BOTTOM = 360, 42, 40
_EDGES = ((0.0, "start", 10.0), (0.5, "middle", 4.0), (1.0, "end", 0.0))
"""Shares of a side that are named, with the anchor and the drop of their texts."""


@dataclass(frozen=True)
class Scale:
    """From a score to one of five colours, weak for good and strong for bad.

    Attributes:
        edges: The four values between the colours, rising.
        is_error: Whether a high score is bad.
        name: What a cell shows.
    """

    edges: tuple[float, float, float, float]
    is_error: bool
    name: str

    def level(self, score: float) -> int:
        """From 1 (good) to 5 (bad). A score on an edge has the better colour."""
        if self.is_error:
            return 1 + sum(score > edge for edge in self.edges)
        return 5 - sum(score >= edge for edge in self.edges)

    def show(self, score: float) -> str:
        """A score as a cell writes it."""
        return f"{100 * score:.0f} %" if self.is_error else f"{score:.2f}"

    @property
    def legend(self) -> Sequence[tuple[int, str]]:
        """Each colour with the scores that it stands for, the best first."""
        shown = [self.show(edge) for edge in self.edges]
        if not self.is_error:
            shown.reverse()
        first, last = ("up to", "over") if self.is_error else ("from", "under")
        between = [f"{low.removesuffix(' %')} to {high}" for low, high in pairwise(shown)]
        return list(enumerate([f"{first} {shown[0]}", *between, f"{last} {shown[-1]}"], start=1))


SCALES: Mapping[Task, Scale] = {
    Task.AFFORDANCE: Scale((0.2, 0.4, 0.6, 0.8), False, "mean IoU"),
    Task.TRAJECTORY: Scale(
        (0.05, 0.1, 0.2, 0.4), True, "mean trace error (Fréchet), % of diagonal"
    ),
    Task.POINTING: Scale((0.2, 0.4, 0.6, 0.8), False, "mean share of points inside"),
}


@dataclass(frozen=True)
class ErrorMap:
    """One evaluation's map."""

    name: str
    count: int
    chart: Markup


def cell_of(centre: FloatArray) -> IntArray:
    """The cells of places, `(N, 2)` column and row; a place on the far edge is in the last cell.

    Args:
        centre: `(N, 2)` share of width and height.
    """
    size = np.array([COLUMNS, ROWS])
    return np.clip(np.floor(centre * size), 0, size - 1).astype(np.intp)


def binned(centre: FloatArray, score: FloatArray) -> tuple[IntArray, FloatArray]:
    """Counts and mean scores of the cells, both `(ROWS, COLUMNS)`; NaN in an empty cell."""
    column, row = cell_of(centre).T
    place = row * COLUMNS + column
    counts = np.bincount(place, minlength=ROWS * COLUMNS)
    sums = np.bincount(place, score, minlength=ROWS * COLUMNS)
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return counts.reshape(ROWS, COLUMNS), means.reshape(ROWS, COLUMNS)


def error_map(name: str, task: Task, judged: Judged, split: str | None) -> ErrorMap | None:
    """The map of one evaluation and split; None where it answered nothing there."""
    rows = judged.rows(split)
    if not rows.any():
        return None
    counts, means = binned(judged.centre[rows], judged.score[rows])
    scale = SCALES[task]
    label = (
        f"{name}: {scale.name} by place of the target in the image; {_worst(counts, means, scale)}"
    )
    return ErrorMap(name, int(rows.sum()), _drawn(counts, means, scale, judged.aspect, label))


def _worst(counts: IntArray, means: FloatArray, scale: Scale) -> str:
    badness = np.where(counts >= FEW, means if scale.is_error else -means, -np.inf)
    if not np.isfinite(badness).any():
        return f"no cell holds {FEW} targets"
    row, column = np.unravel_index(int(badness.argmax()), badness.shape)
    return (
        f"worst in column {column + 1} of {COLUMNS}, row {row + 1} of {ROWS}: "
        f"{scale.show(float(means[row, column]))}"
    )


def _drawn(counts: IntArray, means: FloatArray, scale: Scale, aspect: float, label: str) -> Markup:
    width = (_WIDTH - _LEFT - 4) / COLUMNS
    height = float(np.clip(width * COLUMNS * aspect / ROWS, 36, 64))
    parts = [tag("title", label)]
    for row in range(ROWS):
        for column in range(COLUMNS):
            x, y = _LEFT + column * width, 4 + row * height
            count = int(counts[row, column])
            parts += _cell(x, y, width, height, count, float(means[row, column]), scale)
    bottom = 4 + ROWS * height
    for share, anchor, lower in _EDGES:
        x, y = _LEFT + share * COLUMNS * width, 4 + share * ROWS * height
        told = f"{100 * share:.0f}"
        parts.append(tag("text", told, x=x, y=bottom + 15, text_anchor=anchor))
        parts.append(tag("text", told, x=_LEFT - 6, y=y + lower, text_anchor="end"))
    middle = _LEFT + COLUMNS * width / 2
    parts.append(
        tag("text", "% of width", x=middle, y=bottom + 32, text_anchor="middle"),
    )
    turned = f"rotate(-90 11 {4 + ROWS * height / 2:.0f})"
    parts.append(
        tag(
            "text",
            "% of height",
            x=11,
            y=4 + ROWS * height / 2,
            text_anchor="middle",
            transform=turned,
        )
    )
    box = f"0 0 {_WIDTH} {bottom + _BOTTOM:.0f}"
    return tag("svg", *parts, class_="curve map", role="img", viewBox=box)


def _cell(
    x: float, y: float, width: float, height: float, count: int, mean: float, scale: Scale
) -> list[Markup]:
    level = 0 if count < FEW else scale.level(mean)
    place = {"x": x + 1, "y": y + 1, "width": width - 2, "height": height - 2}
    parts = [tag("rect", **place, rx=3, class_=f"cell h{level}")]
    if count:
        middle = x + width / 2
        told = {"x": middle, "text_anchor": "middle"}
        parts.append(
            tag("text", scale.show(mean), **told, y=y + height / 2, class_=f"value t{level}")
        )
        parts.append(tag("text", f"n {count:,}", **told, y=y + height / 2 + 14, class_=f"t{level}"))
    return parts
