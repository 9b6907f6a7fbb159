"""Error maps: the mean score over the position of the target in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.html import tag
from maniplvm.evaluation.report.sample_metrics import SampleMetrics
from maniplvm.geometry.arrays import FloatArray, IntArray
from maniplvm.tasks import Task

COLUMNS, ROWS = 6, 5
MIN_COUNT = 5
"""Fewest answers of a coloured cell."""

_WIDTH, _LEFT, _BOTTOM = 360, 42, 40
_EDGES = ((0.0, "start", 10.0), (0.5, "middle", 4.0), (1.0, "end", 0.0))
"""Positions of tick labels along a side, with text anchor and vertical offset."""


@dataclass(frozen=True)
class ColourScale:
    """Five colours for scores, from weak (good) to strong (bad).

    Attributes:
        edges: The four values between the colours, increasing.
        is_error: Whether a high score is bad.
        name: Name of the score in a cell.
    """

    edges: tuple[float, float, float, float]
    is_error: bool
    name: str

    def level(self, score: float) -> int:
        """Colour level from 1 (good) to 5 (bad). A score on an edge gets the better level."""
        if self.is_error:
            return 1 + sum(score > edge for edge in self.edges)
        return 5 - sum(score >= edge for edge in self.edges)

    def format_score(self, score: float) -> str:
        """Format a score."""
        return f"{100 * score:.0f} %" if self.is_error else f"{score:.2f}"

    @property
    def legend(self) -> Sequence[tuple[int, str]]:
        """Each colour level with its range of scores, the best first."""
        labels = [self.format_score(edge) for edge in self.edges]
        if not self.is_error:
            labels.reverse()
        first, last = ("up to", "over") if self.is_error else ("from", "under")
        between = [f"{low.removesuffix(' %')} to {high}" for low, high in pairwise(labels)]
        return list(enumerate([f"{first} {labels[0]}", *between, f"{last} {labels[-1]}"], start=1))


COLOUR_SCALES: Mapping[Task, ColourScale] = {
    Task.AFFORDANCE: ColourScale((0.2, 0.4, 0.6, 0.8), False, "mean IoU"),
    Task.TRAJECTORY: ColourScale(
        (0.05, 0.1, 0.2, 0.4), True, "mean trace error (Fréchet), % of diagonal"
    ),
    Task.POINTING: ColourScale((0.2, 0.4, 0.6, 0.8), False, "mean fraction of points inside"),
}


@dataclass(frozen=True)
class ErrorMap:
    """The error map of one evaluation."""

    name: str
    count: int
    chart: Markup


def cell_indices(centre: FloatArray) -> IntArray:
    """`(N, 2)` column and row of each position. Positions on the right or lower edge are inside.

    Args:
        centre: `(N, 2)` position relative to width and height.
    """
    size = np.array([COLUMNS, ROWS])
    return np.clip(np.floor(centre * size), 0, size - 1).astype(np.intp)


def bin_means(centre: FloatArray, score: FloatArray) -> tuple[IntArray, FloatArray]:
    """Counts and mean scores of the cells, `(ROWS, COLUMNS)`. The mean of an empty cell is NaN."""
    column, row = cell_indices(centre).T
    index = row * COLUMNS + column
    counts = np.bincount(index, minlength=ROWS * COLUMNS)
    sums = np.bincount(index, score, minlength=ROWS * COLUMNS)
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return counts.reshape(ROWS, COLUMNS), means.reshape(ROWS, COLUMNS)


def error_map(name: str, task: Task, metrics: SampleMetrics, split: str | None) -> ErrorMap | None:
    """Draw the map of one evaluation and split, or None if there are no answers."""
    rows = metrics.in_split(split)
    if not rows.any():
        return None
    counts, means = bin_means(metrics.centre[rows], metrics.score[rows])
    scale = COLOUR_SCALES[task]
    label = f"{name}: {scale.name} by position of the target; {_worst(counts, means, scale)}"
    return ErrorMap(name, int(rows.sum()), _draw(counts, means, scale, metrics.aspect_ratio, label))


def _worst(counts: IntArray, means: FloatArray, scale: ColourScale) -> str:
    errors = np.where(counts >= MIN_COUNT, means if scale.is_error else -means, -np.inf)
    if not np.isfinite(errors).any():
        return f"no cell has {MIN_COUNT} targets"
    row, column = np.unravel_index(int(errors.argmax()), errors.shape)
    return (
        f"worst in column {column + 1} of {COLUMNS}, row {row + 1} of {ROWS}: "
        f"{scale.format_score(float(means[row, column]))}"
    )


def _draw(
    counts: IntArray, means: FloatArray, scale: ColourScale, aspect: float, label: str
) -> Markup:
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
        label_text = f"{100 * share:.0f}"
        parts.append(tag("text", label_text, x=x, y=bottom + 15, text_anchor=anchor))
        parts.append(tag("text", label_text, x=_LEFT - 6, y=y + lower, text_anchor="end"))
    middle = _LEFT + COLUMNS * width / 2
    parts.append(
        tag("text", "% of width", x=middle, y=bottom + 32, text_anchor="middle"),
    )
    rotation = f"rotate(-90 11 {4 + ROWS * height / 2:.0f})"
    parts.append(
        tag(
            "text",
            "% of height",
            x=11,
            y=4 + ROWS * height / 2,
            text_anchor="middle",
            transform=rotation,
        )
    )
    box = f"0 0 {_WIDTH} {bottom + _BOTTOM:.0f}"
    return tag("svg", *parts, class_="curve map", role="img", viewBox=box)


def _cell(
    x: float, y: float, width: float, height: float, count: int, mean: float, scale: ColourScale
) -> list[Markup]:
    level = 0 if count < MIN_COUNT else scale.level(mean)
    box = {"x": x + 1, "y": y + 1, "width": width - 2, "height": height - 2}
    parts = [tag("rect", **box, rx=3, class_=f"cell h{level}")]
    if count:
        middle = x + width / 2
        attributes = {"x": middle, "text_anchor": "middle"}
        parts.append(
            tag(
                "text",
                scale.format_score(mean),
                **attributes,
                y=y + height / 2,
                class_=f"value t{level}",
            )
        )
        parts.append(
            tag("text", f"n {count:,}", **attributes, y=y + height / 2 + 14, class_=f"t{level}")
        )
    return parts
