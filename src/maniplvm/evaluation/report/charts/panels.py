"""The chart of what changed: each split's difference with its interval, right is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.report.charts.scales import round_up
from maniplvm.evaluation.report.charts.tracks import difference_track
from maniplvm.evaluation.report.metrics import LEADING, Metric, metric_of
from maniplvm.evaluation.report.sections.changes import Change, Changes, Verdict
from maniplvm.tasks.sample import Task


@dataclass(frozen=True)
class Mark:
    """One interval of a panel.

    Attributes:
        series: Class that colours it.
        track: The drawing.
        difference: As written, without its unit.
        span: Its interval, as written, without its unit.
        verdict: What the interval says.
    """

    series: str
    track: Markup
    difference: str
    span: str
    verdict: Verdict


@dataclass(frozen=True)
class Panel:
    """One metric over all splits.

    Attributes:
        metric: Which one.
        limit: The difference at both ends, as written.
        rows: Each split with one mark for each model.
    """

    metric: Metric
    limit: str
    rows: Sequence[tuple[str, Sequence[Mark]]]


def panels(series: Sequence[tuple[str, Changes]]) -> list[Panel]:
    """A panel for every leading metric.

    Args:
        series: A name and the changes from before to each model, the one after training first.
    """
    wanted = [(task, key) for task in Task for key in LEADING[task]]
    wanted.insert(1, (Task.AFFORDANCE, "success"))
    return [panel for place in wanted if (panel := _panel(*place, series)) is not None]


def _panel(task: Task, key: str, series: Sequence[tuple[str, Changes]]) -> Panel | None:
    found: dict[str, list[tuple[int, str, Change]]] = {}
    for index, (name, changes) in enumerate(series):
        for (split, of_task, of_key), change in changes.items():
            if (of_task, of_key) == (task, key):
                found.setdefault(split, []).append((index, name, change))
    if not found:
        return None
    ends = [
        abs(end)
        for own in found.values()
        for _, _, change in own
        for end in (change.found.difference.low, change.found.difference.high)
    ]
    limit, metric = round_up(max(ends)), metric_of(task, key)
    rows = [
        (split, [_mark(index, name, change, limit) for index, name, change in own])
        for split, own in found.items()
    ]
    return Panel(metric, metric.show_bare(limit).removeprefix("+"), rows)


def _mark(index: int, name: str, change: Change, limit: float) -> Mark:
    metric, difference = change.metric, change.found.difference
    ends = [difference.low, difference.mean, difference.high]
    if not metric.higher_is_better:
        ends = [-end for end in reversed(ends)]
    series = "after" if index == 0 else f"c{(index - 1) % 3}"
    label = f"{change.split}, {name}: {metric.name} {change.told}, {change.verdict}"
    track = difference_track(ends[0], ends[1], ends[2], limit, series, label)
    span = f"{metric.show_bare(difference.low)} to {metric.show_bare(difference.high)}"
    return Mark(series, track, metric.show_bare(difference.mean), span, change.verdict)
