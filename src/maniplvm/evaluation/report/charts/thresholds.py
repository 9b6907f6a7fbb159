"""Success curves: the fraction of answers that pass a threshold, over the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.protocols import SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.report.charts.chart import (
    Chart,
    axis_from_ticks,
    format_number,
    format_percent,
)
from maniplvm.evaluation.report.sample_metrics import SampleMetrics
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry.arrays import BoolArray, FloatArray
from maniplvm.tasks import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the success curve of a task.

    Attributes:
        values: `(K,)` thresholds, increasing.
        is_distance: Whether a value must be below the threshold (distance) or above it (overlap).
        axis: Title of the horizontal axis.
        y_title: Title of the vertical axis.
        guide: Threshold of the success rate elsewhere on the page, with its label. None if it
            depends on the image size.
        step: Number of thresholds between two ticks.
    """

    values: FloatArray
    is_distance: bool
    axis: str
    y_title: str
    guide: tuple[float, str] | None = None
    step: int = 1


THRESHOLDS: Mapping[Task, Thresholds] = {
    Task.AFFORDANCE: Thresholds(
        np.arange(1, 10) / 10,
        False,
        "IoU threshold",
        "% of boxes",
        (SUCCESS_IOU, f"success: over {SUCCESS_IOU:g}".replace("0.", ".")),
    ),
    Task.TRAJECTORY: Thresholds(
        np.arange(0, 21) / 100,
        True,
        "threshold of the end distance [% of diagonal]",
        "% of traces",
        step=4,
    ),
    Task.POINTING: Thresholds(
        np.arange(1, 10) / 10, False, "threshold of the fraction of points inside", "% of answers"
    ),
}
"""IoU and points inside: 0.1 to 0.9. Distance between ends: 0 to 20 % of the diagonal."""


@dataclass(frozen=True)
class CurveArea:
    """Area under one curve.

    Attributes:
        series: CSS class of the evaluation.
        name: Name of the evaluation.
        text: Area under the curve with its interval, formatted.
    """

    series: str
    name: str
    text: str


@dataclass(frozen=True)
class ThresholdChart:
    """The success curves of one split, with the area under the curve of each evaluation."""

    title: str
    count: int
    chart: Markup
    areas: Sequence[CurveArea]


def success_curve(threshold_values: FloatArray, thresholds: Thresholds) -> FloatArray:
    """`(K,)` fraction of answers that pass each threshold.

    Args:
        threshold_values: `(N,)` as in `SampleMetrics`.
        thresholds: The thresholds. A value equal to a threshold does not pass.
    """
    return _passed(threshold_values, thresholds).mean(axis=0)


def sample_areas(threshold_values: FloatArray, thresholds: Thresholds) -> FloatArray:
    """`(N,)` contribution of each answer to the area under the curve, from 0 to 1.

    The mean is the mean height of the curve between the first and the last threshold, by the
    trapezoid rule.
    """
    values = thresholds.values
    passed = _passed(threshold_values, thresholds).astype(np.float64)
    heights = (passed[:, 1:] + passed[:, :-1]) / 2
    return heights @ np.diff(values) / (values[-1] - values[0])


def _passed(threshold_values: FloatArray, thresholds: Thresholds) -> BoolArray:
    values = thresholds.values[None]
    return (
        threshold_values[:, None] < values
        if thresholds.is_distance
        else threshold_values[:, None] > values
    )


def threshold_chart(
    title: str, task: Task, evaluations: Sequence[tuple[str, str, SampleMetrics]], split: str | None
) -> ThresholdChart | None:
    """Draw the success curves of one split.

    Args:
        title: Title of the chart.
        task: The task that defines the thresholds.
        evaluations: CSS class, name and metrics of every evaluation.
        split: The split, or None for all splits.

    Returns:
        The chart, or None if the split has no answers.
    """
    thresholds = THRESHOLDS[task]
    curves: list[tuple[str, FloatArray]] = []
    areas: list[CurveArea] = []
    count = 0
    for series, name, own in evaluations:
        rows = own.in_split(split)
        if rows.any():
            curves.append((series, success_curve(own.threshold_values[rows], thresholds)))
            each = sample_areas(own.threshold_values[rows], thresholds)
            area = bootstrap_mean(each, groups=own.scenes_of(rows))
            areas.append(CurveArea(series, name, _format_area(area)))
            count = max(count, int(rows.sum()))
    if not curves:
        return None
    guide = thresholds.guide
    diagonals = {own.diagonal for _, _, own in evaluations}
    if task is Task.TRAJECTORY and len(diagonals) == 1 and (diagonal := diagonals.pop()):
        guide = (SUCCESS_END_PX / diagonal, f"success: {SUCCESS_END_PX:g} px")
    chart = _draw(replace(thresholds, guide=guide), curves, title, areas)
    return ThresholdChart(title, count, chart, areas)


def _format_area(area: Interval) -> str:
    return f"{area.mean:.3f} ({area.low:.3f} to {area.high:.3f})"


def _draw(
    thresholds: Thresholds,
    curves: Sequence[tuple[str, FloatArray]],
    title: str,
    areas: Sequence[CurveArea],
) -> Markup:
    show = format_percent if thresholds.is_distance else format_number
    across = axis_from_ticks(thresholds.values[:: thresholds.step].tolist(), show, thresholds.axis)
    up = axis_from_ticks([0, 0.25, 0.5, 0.75, 1], format_percent, thresholds.y_title)
    label = ", ".join(f"{area.name} {area.text}" for area in areas)
    chart = Chart(across, up, f"{title}, success over threshold; area under the curve: {label}")
    if thresholds.guide is not None and thresholds.guide[0] < thresholds.values[-1]:
        chart.guide(*thresholds.guide)
    for series, fractions in curves:
        chart.line(np.column_stack([thresholds.values, fractions]), f"line {series}")
    return chart.to_svg()
