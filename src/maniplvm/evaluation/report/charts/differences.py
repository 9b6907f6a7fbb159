"""Charts of the differences between models, split by split. Right is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.report.charts.chart import round_up
from maniplvm.evaluation.report.charts.inline import interval_chart
from maniplvm.evaluation.report.comparison import Change, Changes, Verdict
from maniplvm.evaluation.report.metrics import HEADLINE_METRICS, Metric, metric_of
from maniplvm.tasks.sample import Task


@dataclass(frozen=True)
class DifferenceMark:
    """One difference of a panel.

    Attributes:
        series: CSS class of the model.
        chart: The interval as SVG.
        difference: The difference without unit, formatted.
        interval: The interval without unit, formatted.
        verdict: Whether the change is better, worse or unclear.
    """

    series: str
    chart: Markup
    difference: str
    interval: str
    verdict: Verdict


@dataclass(frozen=True)
class DifferencePanel:
    """The differences of one metric on all splits.

    Attributes:
        metric: The metric.
        limit: The difference at both ends of the axis, formatted.
        rows: Each split with one mark for each model.
    """

    metric: Metric
    limit: str
    rows: Sequence[tuple[str, Sequence[DifferenceMark]]]


def difference_panels(series: Sequence[tuple[str, Changes]]) -> list[DifferencePanel]:
    """Build a panel for every metric of the summary.

    Args:
        series: Name of each model and its changes, the model of the page first.
    """
    metrics = [(task, key) for task in Task for key in HEADLINE_METRICS[task]]
    metrics.insert(1, (Task.AFFORDANCE, "success"))
    return [
        panel
        for task, key in metrics
        if (panel := _difference_panel(task, key, series)) is not None
    ]


def _difference_panel(
    task: Task, key: str, series: Sequence[tuple[str, Changes]]
) -> DifferencePanel | None:
    changes_by_split: dict[str, list[tuple[int, str, Change]]] = {}
    for index, (name, changes) in enumerate(series):
        for (split, of_task, of_key), change in changes.items():
            if (of_task, of_key) == (task, key):
                changes_by_split.setdefault(split, []).append((index, name, change))
    if not changes_by_split:
        return None
    ends = [
        abs(end)
        for own in changes_by_split.values()
        for _, _, change in own
        for end in (
            change.paired_difference.difference.low,
            change.paired_difference.difference.high,
        )
    ]
    limit, metric = round_up(max(ends)), metric_of(task, key)
    rows = [
        (split, [_mark(index, name, change, limit) for index, name, change in own])
        for split, own in changes_by_split.items()
    ]
    return DifferencePanel(metric, metric.format_difference_number(limit).removeprefix("+"), rows)


def _mark(index: int, name: str, change: Change, limit: float) -> DifferenceMark:
    metric, difference = change.metric, change.paired_difference.difference
    ends = [difference.low, difference.mean, difference.high]
    if not metric.higher_is_better:
        ends = [-end for end in reversed(ends)]
    series = "after" if index == 0 else f"c{(index - 1) % 3}"
    label = f"{change.split}, {name}: {metric.name} {change.text}, {change.verdict}"
    chart = interval_chart(ends[0], ends[1], ends[2], limit, series, label)
    interval = f"{metric.format_difference_number(difference.low)} to {metric.format_difference_number(difference.high)}"
    return DifferenceMark(
        series, chart, metric.format_difference_number(difference.mean), interval, change.verdict
    )
