"""Tables of before and after, split by split, with what changed beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maniplvm.evaluation.records import Intervals, TaskResult
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.metrics import METRICS, SPLIT_PHRASES, Form, Metric
from maniplvm.evaluation.report.sections.changes import Change, Changes, Verdict
from maniplvm.evaluation.statistics.intervals import Interval
from maniplvm.tasks.sample import Task

TITLES: Mapping[Task, str] = {
    Task.AFFORDANCE: "Boxes: where to touch",
    Task.TRAJECTORY: "Traces: how to move",
    Task.POINTING: "Points: where to touch",
}
"""What each task is called on the page."""


@dataclass(frozen=True)
class Cell:
    """A value with its interval, as written."""

    value: str
    interval: str
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One figure: a cell for each column, None where there is nothing to say."""

    metric: Metric
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Group:
    """The rows of one split."""

    split: str
    phrase: str
    size: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Table:
    """One task.

    Attributes:
        title: What the task is called.
        columns: Their names, without the first.
        groups: Split by split.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[Group]


@dataclass(frozen=True)
class Compared:
    """What is compared.

    Attributes:
        before: The start, or None.
        after: What the page is about.
        changes: Before to after.
        controls: Other models, each with the changes from it to `after`.
        notes: What a reader must know about what is compared.
    """

    before: Measured | None
    after: Measured
    changes: Changes
    controls: Sequence[tuple[Measured, Changes]] = ()
    notes: Sequence[str] = ()


def interval_of(result: TaskResult | None, key: str) -> Interval | None:
    """A figure by its key: strict, so that failed answers count; None where there is none."""
    if result is None:
        return None
    loose = {
        "reward": result.reward.get("total"),
        "parse_rate": result.parse_rate,
        "format_rate": result.format_rate,
        "execution": result.execution,
    }
    return loose[key] if key in loose else result.strict.get(key)


def tables(compared: Compared) -> list[Table]:
    """One table for each task that was evaluated."""
    made = [_table(compared, task) for task in Task]
    return [table for table in made if table.groups]


def _table(compared: Compared, task: Task) -> Table:
    columns = ["before", "after", "change"] if compared.before else ["after"]
    for control, _ in compared.controls:
        columns += [f"control: {control.label}", f"after minus {control.label}"]
    groups = [
        _group(compared, task, split, result)
        for split, results in compared.after.result.splits.items()
        if (result := results.get(task)) is not None
    ]
    return Table(TITLES[task], columns, groups)


def _group(compared: Compared, task: Task, split: str, result: TaskResult) -> Group:
    rows = [
        row
        for metric in METRICS[task]
        if not metric.is_detail and (row := _row(compared, task, split, metric)) is not None
    ]
    size = f"{result.count:,} answers, {result.scenes:,} scenes"
    return Group(split, SPLIT_PHRASES.get(split, ""), size, rows)


def _row(compared: Compared, task: Task, split: str, metric: Metric) -> Row | None:
    found = interval_of(compared.after.task(split, task), metric.key)
    if found is None:
        return None
    place = (split, task, metric.key)
    cells: list[Cell | None] = []
    if compared.before is not None:
        earlier = interval_of(compared.before.task(split, task), metric.key)
        cells += [_value(metric, earlier)]
    cells += [_value(metric, found)]
    if compared.before is not None:
        cells += [_difference(compared.changes.get(place))]
    for control, changes in compared.controls:
        reached = interval_of(control.task(split, task), metric.key)
        cells += [_value(metric, reached), _difference(changes.get(place))]
    return Row(metric, cells)


def _value(metric: Metric, interval: Interval | None) -> Cell | None:
    if interval is None or not interval.count:
        return None
    return Cell(metric.show(interval.mean), metric.span(interval.low, interval.high))


def _difference(change: Change | None) -> Cell | None:
    if change is None:
        return None
    metric, difference = change.metric, change.found.difference
    span = f"{metric.show_bare(difference.low)} to {metric.show_bare(difference.high)}"
    return Cell(metric.show_difference(difference.mean), span, change.verdict)


def everything(compared: Compared) -> list[Table]:
    """Every figure of before and after, strict and by the protocol's own habit, and every term."""
    evaluations = [e for e in (compared.before, compared.after) if e is not None]
    columns = ["before", "after", "change"] if compared.before else ["after"]
    made: list[Table] = []
    for task in Task:
        groups: list[Group] = []
        for split in compared.after.result.splits:
            results = [evaluation.task(split, task) for evaluation in evaluations]
            if results[-1] is not None:
                for name, phrase, block in _BLOCKS:
                    found = [{} if each is None else block(each) for each in results]
                    changes = compared.changes if name == "strict" else {}
                    rows = [
                        _detail(_named(task, key), [own.get(key) for own in found])
                        for key in found[-1]
                    ]
                    if compared.before:
                        rows = [
                            _with_change(r, changes.get((split, task, r.metric.key))) for r in rows
                        ]
                    groups.append(Group(f"{split}, {name}", phrase, "", rows))
        if groups:
            made.append(Table(TITLES[task], columns, groups))
    return made


_BLOCKS: Sequence[tuple[str, str, Callable[[TaskResult], Intervals]]] = (
    ("strict", "an answer that could not be read counts as the worst", lambda r: r.strict),
    ("published", "the protocol’s own habit, as in published tables", lambda r: r.published),
    ("reward", "each term as weighted in the total", lambda r: r.reward),
)
_THOUSANDTHS = "in units of 1/1000 of each side, as published tables give it"


def _named(task: Task, key: str) -> Metric:
    """The metric of a key; one that the page does not know is shown by its key."""
    known = {metric.key: metric for metric in METRICS[task]}
    name, _, scale = key.rpartition("_")
    if scale == "1000" and name in known:
        return Metric(key, known[name].name, _THOUSANDTHS, Form.UNITS)
    return known.get(key, Metric(key, key.replace("_", " "), ""))


def _detail(metric: Metric, found: Sequence[Interval | None]) -> Row:
    return Row(metric, [_value(metric, interval) for interval in found])


def _with_change(row: Row, change: Change | None) -> Row:
    return Row(row.metric, [*row.cells, _difference(change)])
