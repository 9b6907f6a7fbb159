"""Success against threshold: how many answers are good enough, however strict one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.protocols import SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.report.charts.charts import Chart
from maniplvm.evaluation.report.charts.scales import axis_at, percent, short
from maniplvm.evaluation.report.sample_metrics import Judged
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry.arrays import BoolArray, FloatArray
from maniplvm.tasks import Task


@dataclass(frozen=True)
class Thresholds:
    """What an answer of a task must reach.

    Attributes:
        values: `(K,)` rising.
        is_distance: Whether an answer must stay below (a distance) or get above (an overlap).
        axis: What the horizontal axis says.
        who: What is counted.
        guide: What counts as success elsewhere on the page, with its name; None where that depends
            on the size of the image.
        step: Every so many thresholds get a tick.
    """

    values: FloatArray
    is_distance: bool
    axis: str
    who: str
    guide: tuple[float, str] | None = None
    step: int = 1


THRESHOLDS: Mapping[Task, Thresholds] = {
    Task.AFFORDANCE: Thresholds(
        np.arange(1, 10) / 10,
        False,
        "IoU must be over",
        "% of boxes",
        (SUCCESS_IOU, f"success: over {SUCCESS_IOU:g}".replace("0.", ".")),
    ),
    Task.TRAJECTORY: Thresholds(
        np.arange(0, 21) / 100,
        True,
        "end distance must be under [% of diagonal]",
        "% of traces",
        step=4,
    ),
    Task.POINTING: Thresholds(
        np.arange(1, 10) / 10, False, "share of points inside must be over", "% of answers"
    ),
}
"""IoU and share inside from .1 to .9; distance between ends from 0 to a fifth of the diagonal."""


@dataclass(frozen=True)
class Area:
    """One line of a chart.

    Attributes:
        series: Class that colours it.
        name: Of the evaluation.
        told: The area under its line with its interval, as written.
    """

    series: str
    name: str
    told: str


@dataclass(frozen=True)
class ThresholdChart:
    """One split: the chart, and a line of its legend for each evaluation."""

    title: str
    count: int
    chart: Markup
    areas: Sequence[Area]


def success_curve(nearness: FloatArray, thresholds: Thresholds) -> FloatArray:
    """The share of answers that pass each threshold, `(K,)`.

    Args:
        nearness: `(N,)` as in `Judged`.
        thresholds: What must be passed, strictly.
    """
    return _passed(nearness, thresholds).mean(axis=0)


def areas_under(nearness: FloatArray, thresholds: Thresholds) -> FloatArray:
    """What each answer adds to the area under the curve, `(N,)` from 0 to 1.

    The area is the mean of these: the curve's mean height between the first and last threshold, by
    the trapezoid rule.
    """
    values = thresholds.values
    passed = _passed(nearness, thresholds).astype(np.float64)
    heights = (passed[:, 1:] + passed[:, :-1]) / 2
    return heights @ np.diff(values) / (values[-1] - values[0])


def _passed(nearness: FloatArray, thresholds: Thresholds) -> BoolArray:
    values = thresholds.values[None]
    return nearness[:, None] < values if thresholds.is_distance else nearness[:, None] > values


def threshold_chart(
    title: str, task: Task, judged: Sequence[tuple[str, str, Judged]], split: str | None
) -> ThresholdChart | None:
    """The chart of one split.

    Args:
        title: What stands above it.
        task: Whose thresholds.
        judged: Series, name and answers of every evaluation, the page's own first.
        split: Which one; None for all.

    Returns:
        None where no evaluation answered the split.
    """
    thresholds = THRESHOLDS[task]
    curves: list[tuple[str, FloatArray]] = []
    areas: list[Area] = []
    count = 0
    for series, name, own in judged:
        rows = own.rows(split)
        if rows.any():
            curves.append((series, success_curve(own.nearness[rows], thresholds)))
            each = areas_under(own.nearness[rows], thresholds)
            area = bootstrap_mean(each, groups=own.scenes_of(rows))
            areas.append(Area(series, name, _told(area)))
            count = max(count, int(rows.sum()))
    if not curves:
        return None
    guide = thresholds.guide
    diagonals = {own.diagonal for _, _, own in judged}
    if task is Task.TRAJECTORY and len(diagonals) == 1 and (diagonal := diagonals.pop()):
        guide = (SUCCESS_END_PX / diagonal, f"success: {SUCCESS_END_PX:g} px")
    chart = _drawn(replace(thresholds, guide=guide), curves, title, areas)
    return ThresholdChart(title, count, chart, areas)


def _told(area: Interval) -> str:
    return f"{area.mean:.3f} ({area.low:.3f} to {area.high:.3f})"


def _drawn(
    thresholds: Thresholds,
    curves: Sequence[tuple[str, FloatArray]],
    title: str,
    areas: Sequence[Area],
) -> Markup:
    show = percent if thresholds.is_distance else short
    across = axis_at(thresholds.values[:: thresholds.step].tolist(), show, thresholds.axis)
    up = axis_at([0, 0.25, 0.5, 0.75, 1], percent, thresholds.who)
    told = ", ".join(f"{area.name} {area.told}" for area in areas)
    chart = Chart(across, up, f"{title}, success against threshold; area under the line: {told}")
    if thresholds.guide is not None and thresholds.guide[0] < thresholds.values[-1]:
        chart.guide(*thresholds.guide)
    for series, shares in curves:
        chart.line(np.column_stack([thresholds.values, shares]), f"line {series}")
    return chart.drawn()
