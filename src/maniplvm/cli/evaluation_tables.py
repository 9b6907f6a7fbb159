"""Evaluations and comparisons as terminal tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from maniplvm.evaluation import Comparison, Difference, Evaluation, Interval, TaskResult
from maniplvm.evaluation.protocols import MANIPLVM
from maniplvm.evaluation.statistics.comparison import LOWER_IS_BETTER
from maniplvm.tasks import Task

_HEADINGS = {
    Task.AFFORDANCE: {"iou": "IoU", "success": "IoU > .5"},
    Task.POINTING: {"inside": "inside"},
    Task.TRAJECTORY: {
        "dfd_diagonal": "DFD/diagonal",
        "dfd": "DFD px",
        "hd": "HD px",
        "rmse": "RMSE px",
        "end": "end px",
        "success": "end < 20 px",
    },
}
"""Protocol `maniplvm`: the shown measures of each task, with their headings."""

_COMPARED = {
    "iou": "IoU",
    "dfd_diagonal": "DFD/diagonal",
    "success": "success",
    "reward": "reward",
    "task_reward": "task reward",
    "inside": "inside",
    "mae": "MAE px",
    "dfd_unit": "DFD 0..1",
    "hd_unit": "HD 0..1",
    "rmse_unit": "RMSE 0..1",
    "solved": "solved",
    "execution": "executed",
    "parse_rate": "parsed",
}
"""The shown metrics of a comparison, with their headings."""

_NOTHING = "-"
"""A cell without a value."""

_SHAPE = {Task.AFFORDANCE: "box", Task.TRAJECTORY: "trace", Task.POINTING: "points"}


def headline(result: Evaluation) -> str:
    """Model, data and settings in one line."""
    decoding = result.decoding
    temperature = decoding.get("temperature")
    how = f"temperature {temperature:g}, {decoding['draws']} draws" if temperature else "greedy"
    wrong = "" if result.wrong_instruction is None else ", wrong instructions"
    excluded = ", ".join(f"{count} {reason}" for reason, count in result.not_measured.items())
    return (
        f"{result.model} on {result.data}: protocol {result.protocol}, "
        f"preset {result.preset}, {how if temperature is not None else 'fixed answers'}{wrong}"
        f"{f'; not measured: {excluded}' if excluded else ''}"
    )


def result_tables(result: Evaluation) -> Iterator[Table]:
    """A table for each task: strict means with 95 % intervals, one column per split."""
    for task in Task:
        rows = {split: tasks[task] for split, tasks in result.splits.items() if task in tasks}
        if rows:
            yield _task_table(task, rows, result)


def comparison_table(comparison: Comparison) -> Table:
    """Paired differences; `*` marks those whose 95 % interval excludes 0."""
    table = Table(title="after minus before, paired by sample")
    table.add_column("")
    for heading in ("n", "before", "after", "difference", "95 % interval", ""):
        table.add_column(heading, justify="right")
    for split, tasks in comparison.splits.items():
        table.add_row(Text(split, style="bold"))
        for task, metrics in tasks.items():
            for name in (name for name in _COMPARED if name in metrics):
                heading = f"{_SHAPE[task]}: {_COMPARED[name]}"
                table.add_row(heading, *_difference(name, metrics[name]))
        table.add_section()
    table.caption = f"before: {comparison.before}; * the interval excludes 0"
    return table


def _shown(task: Task, result: Evaluation) -> dict[str, str]:
    """The measures of the table with their headings; other protocols show all, with units."""
    if result.protocol == MANIPLVM.name:
        return _HEADINGS[task]
    described = result.measures[task]["values"]
    return {name: f"{name} ({own['unit']})" for name, own in described.items()}


def _task_table(task: Task, rows: dict[str, TaskResult], result: Evaluation) -> Table:
    title = f"{task} · protocol {result.protocol}, strict · means with 95 % intervals"
    table = Table(title=title)
    table.add_column("")
    for split in rows:
        table.add_column(split, justify="right")
    results = list(rows.values())
    table.add_row("n (scenes)", *(f"{result.count} ({result.scenes})" for result in results))
    if any(own.coverage < 1 for own in results):
        table.add_row("answered", *(f"{100 * own.coverage:.1f} %" for own in results))
    table.add_row("parsed", *(_share(result.parse_rate) for result in results))
    table.add_section()
    for name, heading in _shown(task, result).items():
        table.add_row(heading, *(_cell(own.strict[name]) for own in results))
    table.add_row("reward", *(_cell(result.reward["total"]) for result in results))
    for heading, cells in (
        ("executed", [_cell(result.execution) for result in results]),
        ("part named", [_share(result.part_named) for result in results]),
        ("diversity", [_cell(result.diversity) for result in results]),
        ("area ratio", [_plain(result.area_ratio) for result in results]),
        ("length ratio", [_plain(result.length_ratio) for result in results]),
        ("start / diagonal", [_plain(result.start_diagonal) for result in results]),
    ):
        if any(str(cell) != _NOTHING for cell in cells):
            table.add_row(heading, *cells)
    failures = {
        split: ", ".join(f"{count} {status}" for status, count in result.failures.items())
        for split, result in rows.items()
        if result.failures
    }
    captions = list[str]()
    if failures:
        captions.append("could not be parsed, counted as the worst: " + _by_split(failures))
    guesses = {
        split: ", ".join(f"{count} {guess}" for guess, count in result.guesses.items())
        for split, result in rows.items()
        if result.guesses
    }
    if guesses:
        captions.append("parsed with a guess: " + _by_split(guesses))
    table.caption = "\n".join(captions) or None
    return table


def _by_split(texts: dict[str, str]) -> str:
    return "; ".join(f"{split}: {text}" for split, text in texts.items())


def _difference(name: str, own: Difference) -> tuple[str | Text, ...]:
    interval = own.difference
    better = (interval.mean < 0) == (name in LOWER_IS_BETTER)
    mark = Text("*" if own.is_clear else "", style="green" if better else "red")
    return (
        str(own.pairs),
        _number(own.before),
        _number(own.after),
        _signed(interval.mean),
        f"{_signed(interval.low)} to {_signed(interval.high)}",
        mark,
    )


def _cell(interval: Interval | None) -> Text:
    if interval is None or not interval.count:
        return Text(_NOTHING)
    span = f"{_number(interval.low)} to {_number(interval.high)}"
    return Text.assemble((_number(interval.mean), "bold"), f"\n{span}")


def _share(interval: Interval | None) -> str:
    return _NOTHING if interval is None or not interval.count else f"{100 * interval.mean:.1f} %"


def _plain(value: float | None) -> str:
    return _NOTHING if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.3f}"
