"""Tables of all metrics before and after, with their changes, split by split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maniplvm.evaluation.records import Intervals, TaskResult
from maniplvm.evaluation.report.comparison import Change, Comparison, Verdict
from maniplvm.evaluation.report.metrics import (
    METRICS,
    SPLIT_DESCRIPTIONS,
    Metric,
    MetricFormat,
)
from maniplvm.evaluation.statistics.intervals import Interval
from maniplvm.tasks.sample import Task

TITLES: Mapping[Task, str] = {
    Task.AFFORDANCE: "Boxes (affordance)",
    Task.TRAJECTORY: "Traces (trajectory)",
    Task.POINTING: "Points (pointing)",
}
"""Name of each task on the page."""


@dataclass(frozen=True)
class Cell:
    """A value with its interval, formatted."""

    value: str
    interval: str
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One metric with a cell for each column. A missing value is None."""

    metric: Metric
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class SplitRows:
    """The rows of one split."""

    split: str
    description: str
    size: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Table:
    """The table of one task.

    Attributes:
        title: Name of the task on the page.
        columns: Names of the columns after the first.
        groups: The rows of each split.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[SplitRows]


def interval_of(result: TaskResult | None, key: str) -> Interval | None:
    """Find the strict value of a metric by its key, or None."""
    if result is None:
        return None
    other_metrics = {
        "reward": result.reward.get("total"),
        "parse_rate": result.parse_rate,
        "format_rate": result.format_rate,
        "execution": result.execution,
    }
    return other_metrics[key] if key in other_metrics else result.strict.get(key)


def metric_tables(comparison: Comparison) -> list[Table]:
    """Build one table for each evaluated task."""
    result_tables = [_table(comparison, task) for task in Task]
    return [table for table in result_tables if table.groups]


def _table(comparison: Comparison, task: Task) -> Table:
    columns = ["before", "after", "change"] if comparison.before else ["after"]
    for control, _ in comparison.controls:
        columns += [f"control: {control.label}", f"after minus {control.label}"]
    groups = [
        _group(comparison, task, split, result)
        for split, results in comparison.after.result.splits.items()
        if (result := results.get(task)) is not None
    ]
    return Table(TITLES[task], columns, groups)


def _group(comparison: Comparison, task: Task, split: str, result: TaskResult) -> SplitRows:
    rows = [
        row
        for metric in METRICS[task]
        if not metric.is_advanced and (row := _row(comparison, task, split, metric)) is not None
    ]
    size = f"{result.count:,} answers, {result.scenes:,} scenes"
    return SplitRows(split, SPLIT_DESCRIPTIONS.get(split, ""), size, rows)


def _row(comparison: Comparison, task: Task, split: str, metric: Metric) -> Row | None:
    found = interval_of(comparison.after.task(split, task), metric.key)
    if found is None:
        return None
    key = (split, task, metric.key)
    cells: list[Cell | None] = []
    if comparison.before is not None:
        earlier = interval_of(comparison.before.task(split, task), metric.key)
        cells += [_value(metric, earlier)]
    cells += [_value(metric, found)]
    if comparison.before is not None:
        cells += [_difference(comparison.changes.get(key))]
    for control, changes in comparison.controls:
        reached = interval_of(control.task(split, task), metric.key)
        cells += [_value(metric, reached), _difference(changes.get(key))]
    return Row(metric, cells)


def _value(metric: Metric, interval: Interval | None) -> Cell | None:
    if interval is None or not interval.count:
        return None
    return Cell(
        metric.format_value(interval.mean), metric.format_interval(interval.low, interval.high)
    )


def _difference(change: Change | None) -> Cell | None:
    if change is None:
        return None
    metric, difference = change.metric, change.paired_difference.difference
    span = f"{metric.format_difference_number(difference.low)} to {metric.format_difference_number(difference.high)}"
    return Cell(metric.format_difference(difference.mean), span, change.verdict)


def all_metric_tables(comparison: Comparison) -> list[Table]:
    """Build tables of all metrics, strict and as published, and of all reward terms."""
    evaluations = [e for e in (comparison.before, comparison.after) if e is not None]
    columns = ["before", "after", "change"] if comparison.before else ["after"]
    result_tables: list[Table] = []
    for task in Task:
        groups: list[SplitRows] = []
        for split in comparison.after.result.splits:
            results = [evaluation.task(split, task) for evaluation in evaluations]
            if results[-1] is not None:
                for name, description, block in _BLOCKS:
                    found = [{} if each is None else block(each) for each in results]
                    changes = comparison.changes if name == "strict" else {}
                    rows = [
                        _detail(_named(task, key), [own.get(key) for own in found])
                        for key in found[-1]
                    ]
                    if comparison.before:
                        rows = [
                            _with_change(r, changes.get((split, task, r.metric.key))) for r in rows
                        ]
                    groups.append(SplitRows(f"{split}, {name}", description, "", rows))
        if groups:
            result_tables.append(Table(TITLES[task], columns, groups))
    return result_tables


_BLOCKS: Sequence[tuple[str, str, Callable[[TaskResult], Intervals]]] = (
    ("strict", "an unparsed answer has the worst value", lambda r: r.strict),
    ("published", "as the protocol reports them in published tables", lambda r: r.published),
    ("reward", "each term with its weight in the total", lambda r: r.reward),
)
_THOUSANDTHS = "in units of 1/1000 of the image sides, as in published tables"


def _named(task: Task, key: str) -> Metric:
    """Find the metric of a key. An unknown metric is named by its key."""
    known = {metric.key: metric for metric in METRICS[task]}
    name, _, scale = key.rpartition("_")
    if scale == "1000" and name in known:
        return Metric(key, known[name].name, _THOUSANDTHS, MetricFormat.THOUSANDTHS)
    return known.get(key, Metric(key, key.replace("_", " "), ""))


def _detail(metric: Metric, found: Sequence[Interval | None]) -> Row:
    return Row(metric, [_value(metric, interval) for interval in found])


def _with_change(row: Row, change: Change | None) -> Row:
    return Row(row.metric, [*row.cells, _difference(change)])
