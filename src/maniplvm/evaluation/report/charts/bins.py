"""Success in bins: does it depend on the size of the target, or on the length of the reasoning?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.charts.charts import Chart
from maniplvm.evaluation.report.charts.scales import Axis, axis_at, percent
from maniplvm.evaluation.report.sample_metrics import Judged
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry.arrays import FloatArray, IntArray

MOST_BINS = 5
"""Of one chart."""


@dataclass(frozen=True)
class Question:
    """What success is held against.

    Attributes:
        title: What stands above the chart.
        phrase: How to read it.
        axis: What is measured, with its unit.
        value: From answers to the measured values, `(N,)`.
        show: How an edge is written.
    """

    title: str
    phrase: str
    axis: str
    value: Callable[[Judged], FloatArray]
    show: Callable[[float], str]


@dataclass(frozen=True)
class BinChart:
    """One chart with its words."""

    title: str
    phrase: str
    chart: Markup


def edges_of(values: FloatArray, most: int = MOST_BINS) -> FloatArray:
    """Edges of bins that hold about the same number of values, `(K + 1,)` rising, K <= `most`.

    Every edge is one of the values. Where many values are equal, bins grow together; where all are,
    there is one bin from the value to itself.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1), method="nearest"))
    return np.repeat(edges, 2) if len(edges) == 1 else edges


def bin_of(values: FloatArray, edges: FloatArray) -> IntArray:
    """The bin of each value, `(N,)`: a value on an inner edge belongs to the bin above it."""
    return np.searchsorted(edges[1:-1], values, side="right")


def success_by_bin(judged: Judged, bins: IntArray, count: int) -> list[Interval]:
    """The share of successes in each of `count` bins with its interval, over whole scenes.

    Args:
        judged: N answers.
        bins: `(N,)` their bins; -1 leaves an answer out.
        count: How many bins.
    """
    found: list[Interval] = []
    for index in range(count):
        rows = bins == index
        found.append(bootstrap_mean(judged.success[rows], groups=judged.scenes_of(rows)))
    return found


def bin_chart(
    question: Question, judged: Sequence[tuple[str, str, Judged]], split: str | None, who: str
) -> BinChart | None:
    """The chart of one split.

    Args:
        question: What success is held against.
        judged: Series, name and answers of every evaluation.
        split: Which one; None for all.
        who: What the vertical axis counts.

    Returns:
        None where no evaluation answered the split, or all values are the same.
    """
    taken = [(own, own.rows(split)) for _, _, own in judged]
    values = [question.value(own)[rows] for own, rows in taken]
    edges = edges_of(np.concatenate(values)) if sum(map(len, values)) else np.zeros(2)
    if edges[0] == edges[-1]:
        return None
    count = len(edges) - 1
    found: list[list[Interval]] = []
    for (own, rows), held in zip(taken, values, strict=True):
        bins = np.full(len(own), -1, dtype=np.intp)
        bins[rows] = bin_of(held, edges)
        found.append(success_by_bin(own, bins, count))
    return BinChart(question.title, question.phrase, _drawn(question, judged, edges, found, who))


def _drawn(
    question: Question,
    judged: Sequence[tuple[str, str, Judged]],
    edges: FloatArray,
    found: Sequence[Sequence[Interval]],
    who: str,
) -> Markup:
    count = len(edges) - 1
    ticks = [(float(index), question.show(edge)) for index, edge in enumerate(edges.tolist())]
    notes = [(index + 0.5, _counts([own[index].count for own in found])) for index in range(count)]
    across = Axis(0, count, ticks, question.axis, notes, notes_title="n")
    up = axis_at([0, 0.25, 0.5, 0.75, 1], percent, who)
    told = "; ".join(
        f"{name}: {', '.join(f'{100 * each.mean:.0f} %' if each.count else 'none' for each in own)}"
        for (_, name, _), own in zip(judged, found, strict=True)
    )
    chart = Chart(across, up, f"{question.title}, from left to right: {told}", height=170)
    for place, ((series, _, _), own) in enumerate(zip(judged, found, strict=True)):
        shift = 13.0 * (place - (len(judged) - 1) / 2)
        for index, share in enumerate(own):
            if share.count:
                chart.whisker(index + 0.5, share.low, share.high, series, shift)
                chart.mark(index + 0.5, share.mean, series, shift=shift)
    return chart.drawn()


def _counts(counts: Sequence[int]) -> str:
    """How many answers a bin holds: one number, or the range over the evaluations."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
