"""Success rate in bins of a variable, such as target size or reasoning length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.charts.chart import Axis, Chart, axis_from_ticks, format_percent
from maniplvm.evaluation.report.sample_metrics import SampleMetrics
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry.arrays import FloatArray, IntArray

MAX_BINS = 5
"""Most bins of one chart."""


@dataclass(frozen=True)
class BinnedVariable:
    """The variable of a chart of binned success.

    Attributes:
        title: Title of the chart.
        description: Description below the title.
        axis: Title of the horizontal axis with unit.
        value: Function from the metrics to the values, `(N,)`.
        format_edge: Number format of a bin edge.
    """

    title: str
    description: str
    axis: str
    value: Callable[[SampleMetrics], FloatArray]
    format_edge: Callable[[float], str]


@dataclass(frozen=True)
class BinChart:
    """A chart with title and description."""

    title: str
    description: str
    chart: Markup


def bin_edges(values: FloatArray, most: int = MAX_BINS) -> FloatArray:
    """Edges of K <= `most` bins with about the same number of values: `(K + 1,)`, increasing.

    Every edge is one of the values. There are fewer bins if many values are equal. If all values are
    equal, there is one bin from the value to itself.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1), method="nearest"))
    return np.repeat(edges, 2) if len(edges) == 1 else edges


def bin_indices(values: FloatArray, edges: FloatArray) -> IntArray:
    """`(N,)` bin of each value. A value on an inner edge belongs to the upper bin."""
    return np.searchsorted(edges[1:-1], values, side="right")


def success_by_bin(metrics: SampleMetrics, bins: IntArray, count: int) -> list[Interval]:
    """Success rate of each bin, with an interval from a bootstrap over scenes.

    Args:
        metrics: Metrics of N answers.
        bins: `(N,)` bin of each answer, -1 to leave an answer out.
        count: Number of bins.
    """
    rates: list[Interval] = []
    for index in range(count):
        rows = bins == index
        rates.append(bootstrap_mean(metrics.success[rows], groups=metrics.scenes_of(rows)))
    return rates


def bin_chart(
    variable: BinnedVariable,
    evaluations: Sequence[tuple[str, str, SampleMetrics]],
    split: str | None,
    y_title: str,
) -> BinChart | None:
    """Draw the chart of one split.

    Args:
        variable: The variable of the bins.
        evaluations: CSS class, name and metrics of every evaluation.
        split: The split, or None for all splits.
        y_title: Title of the vertical axis.

    Returns:
        The chart, or None if the split has no answers or all values are equal.
    """
    selections = [(own, own.in_split(split)) for _, _, own in evaluations]
    values = [variable.value(own)[rows] for own, rows in selections]
    edges = bin_edges(np.concatenate(values)) if sum(map(len, values)) else np.zeros(2)
    if edges[0] == edges[-1]:
        return None
    count = len(edges) - 1
    rates: list[list[Interval]] = []
    for (own, rows), own_values in zip(selections, values, strict=True):
        bins = np.full(len(own), -1, dtype=np.intp)
        bins[rows] = bin_indices(own_values, edges)
        rates.append(success_by_bin(own, bins, count))
    return BinChart(
        variable.title, variable.description, _draw(variable, evaluations, edges, rates, y_title)
    )


def _draw(
    variable: BinnedVariable,
    evaluations: Sequence[tuple[str, str, SampleMetrics]],
    edges: FloatArray,
    rates: Sequence[Sequence[Interval]],
    y_title: str,
) -> Markup:
    count = len(edges) - 1
    ticks = [
        (float(index), variable.format_edge(edge)) for index, edge in enumerate(edges.tolist())
    ]
    notes = [(index + 0.5, _counts([own[index].count for own in rates])) for index in range(count)]
    across = Axis(0, count, ticks, variable.axis, notes, notes_title="n")
    up = axis_from_ticks([0, 0.25, 0.5, 0.75, 1], format_percent, y_title)
    label = "; ".join(
        f"{name}: {', '.join(f'{100 * each.mean:.0f} %' if each.count else 'none' for each in own)}"
        for (_, name, _), own in zip(evaluations, rates, strict=True)
    )
    chart = Chart(across, up, f"{variable.title}, from left to right: {label}", height=170)
    for order, ((series, _, _), own) in enumerate(zip(evaluations, rates, strict=True)):
        shift = 13.0 * (order - (len(evaluations) - 1) / 2)
        for index, share in enumerate(own):
            if share.count:
                chart.whisker(index + 0.5, share.low, share.high, series, shift)
                chart.mark(index + 0.5, share.mean, series, shift=shift)
    return chart.to_svg()


def _counts(counts: Sequence[int]) -> str:
    """Number of answers of a bin, as a range if the evaluations differ."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
