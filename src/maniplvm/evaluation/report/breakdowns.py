"""Where it fails: kinds of failure, and every category by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.metrics import (
    EXECUTION_PHRASES,
    LEADING,
    SPLIT_PHRASES,
    STATUS_PHRASES,
    Metric,
    metric_of,
)
from maniplvm.evaluation.report.tables import TITLES, Compared
from maniplvm.evaluation.report.tracks import bar_track, round_up
from maniplvm.tasks.sample import Task


@dataclass(frozen=True)
class Bar:
    """One row of bars.

    Attributes:
        name: What it counts or measures.
        phrase: What that means.
        track: The drawing.
        values: What the bars show, as written.
    """

    name: str
    phrase: str
    track: Markup
    values: Sequence[str]


@dataclass(frozen=True)
class Breakdown:
    """Bars under one title, in sections."""

    title: str
    phrase: str
    sections: Sequence[tuple[str, Sequence[Bar]]]


def failures(compared: Compared) -> list[Breakdown]:
    """How answers failed to be read, and how traces failed in physics, over all splits."""
    evaluations = [e for e in (compared.before, compared.after) if e is not None]
    made = [
        _counted(
            "Answers that could not be read",
            "share of all answers of the task, over all splits",
            {
                TITLES[task]: [_statuses(evaluation, task) for evaluation in evaluations]
                for task in Task
            },
            STATUS_PHRASES,
        ),
        _counted(
            "Traces that failed in physics",
            "share of all executed traces, over all splits",
            {"": [_reasons(evaluation) for evaluation in evaluations]},
            EXECUTION_PHRASES,
        ),
    ]
    return [breakdown for breakdown in made if breakdown.sections]


def _statuses(evaluation: Measured, task: Task) -> tuple[Counter[str], int]:
    own = [record for record in evaluation.samples if record.task is task]
    return Counter(record.status for record in own if not record.parsed), len(own)


def _reasons(evaluation: Measured) -> tuple[Counter[str], int]:
    done = [record.execution for record in evaluation.samples if record.execution is not None]
    return Counter(each.reason for each in done if not each.success), len(done)


def _counted(
    title: str,
    phrase: str,
    found: Mapping[str, Sequence[tuple[Counter[str], int]]],
    phrases: Mapping[str, str],
) -> Breakdown:
    shares = [n / total for own in found.values() for c, total in own for n in c.values()]
    limit = round_up(max(shares, default=1.0))
    sections: list[tuple[str, list[Bar]]] = []
    for name, own in found.items():
        kinds = sum((counts for counts, _ in own), Counter[str]()).most_common()
        bars = [_count_bar(kind, phrases.get(kind, ""), own, limit) for kind, _ in kinds]
        if bars:
            sections.append((name, bars))
    return Breakdown(title, phrase, sections)


def _count_bar(
    kind: str, phrase: str, own: Sequence[tuple[Counter[str], int]], limit: float
) -> Bar:
    values = [f"{counts[kind]:,} of {total:,}" for counts, total in own]
    if len({total for _, total in own}) == 1:
        values[:-1] = [f"{counts[kind]:,}" for counts, _ in own[:-1]]
    bars = [
        (series, counts[kind] / max(1, total), None, None)
        for series, (counts, total) in zip(_series(own), own, strict=True)
    ]
    return Bar(
        kind.replace("_", " "),
        phrase,
        bar_track(bars, limit, f"{kind}: {', '.join(values)}"),
        values,
    )


def _series(columns: Sequence[object]) -> list[str]:
    return ["before", "after"][-len(columns) :]


def categories(compared: Compared) -> list[Breakdown]:
    """The leading measure of every category: one breakdown for each split."""
    made: list[Breakdown] = []
    for split in compared.after.result.splits:
        sections: list[tuple[str, Sequence[Bar]]] = []
        for task in Task:
            metric = _measure(compared, split, task)
            bars = [] if metric is None else _category_bars(compared, split, task, metric)
            if metric is not None and bars:
                sections.append((metric.name, bars))
        if sections:
            made.append(Breakdown(split, SPLIT_PHRASES.get(split, ""), sections))
    return made


def _measure(compared: Compared, split: str, task: Task) -> Metric | None:
    """The first leading metric that the categories hold."""
    result = compared.after.task(split, task)
    held = {name for own in result.categories.values() for name in own.measures} if result else ()
    keys = [*LEADING[task], "dfd", "success"]
    return next((metric_of(task, key) for key in keys if key in held), None)


def _category_bars(compared: Compared, split: str, task: Task, metric: Metric) -> list[Bar]:
    evaluations = [e for e in (compared.before, compared.after) if e is not None]
    tables = [
        {} if (result := evaluation.task(split, task)) is None else result.categories
        for evaluation in evaluations
    ]
    found = {
        name: [table[name].measures.get(metric.key) if name in table else None for table in tables]
        for name in tables[-1]
    }
    highest = [interval.high for own in found.values() for interval in own if interval is not None]
    limit = 1.0 if metric.key in ("iou", "success") else round_up(max(highest, default=1.0))
    bars: list[tuple[float, Bar]] = []
    for name, own in found.items():
        latest = own[-1]
        if latest is None:
            continue
        rows = [
            (series, interval.mean, interval.low, interval.high)
            for series, interval in zip(_series(tables), own, strict=True)
            if interval is not None
        ]
        values = [metric.show(None if interval is None else interval.mean) for interval in own]
        track = bar_track(rows, limit, f"{name}: {', '.join(values)}")
        bars.append((latest.mean, Bar(name, f"{tables[-1][name].count} answers", track, values)))
    bars.sort(key=lambda pair: pair[0], reverse=metric.higher_is_better)
    return [bar for _, bar in bars]
