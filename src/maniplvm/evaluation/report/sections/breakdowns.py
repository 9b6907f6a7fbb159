"""Bar charts of the failures by kind, and of the main metric by category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.report.charts.chart import format_number, format_percent, round_up
from maniplvm.evaluation.report.charts.inline import bar_chart
from maniplvm.evaluation.report.comparison import Comparison
from maniplvm.evaluation.report.folders import ModelEvaluation
from maniplvm.evaluation.report.metrics import (
    EXECUTION_DESCRIPTIONS,
    GUESS_DESCRIPTIONS,
    HEADLINE_METRICS,
    SPLIT_DESCRIPTIONS,
    STATUS_DESCRIPTIONS,
    Metric,
    MetricFormat,
    metric_of,
)
from maniplvm.evaluation.report.sections.tables import TITLES
from maniplvm.tasks.sample import Task

MAX_BARS = 30
"""Most bars that are visible without opening the details."""


@dataclass(frozen=True)
class BarRow:
    """One row of bars, one bar for each evaluation.

    Attributes:
        name: Name of the kind or category.
        description: Description of the kind or category.
        chart: The bars as SVG.
        values: Values of the bars, formatted.
    """

    name: str
    description: str
    chart: Markup
    values: Sequence[str]


@dataclass(frozen=True)
class BarSection:
    """Rows of bars with a common axis.

    Attributes:
        name: Title, or empty if the breakdown needs none.
        bars: All rows.
        ticks: Values at the left end, in the middle and at the right end, formatted.
    """

    name: str
    bars: Sequence[BarRow]
    ticks: tuple[str, str, str]

    @property
    def visible_bars(self) -> Sequence[BarRow]:
        """The first and the last rows, or all rows if there are few."""
        if len(self.bars) <= MAX_BARS:
            return self.bars
        return [*self.bars[: MAX_BARS // 2], *self.bars[-(MAX_BARS // 2) :]]

    @property
    def hidden_bars(self) -> Sequence[BarRow]:
        """The other rows, from the middle of the order."""
        return () if len(self.bars) <= MAX_BARS else self.bars[MAX_BARS // 2 : -MAX_BARS // 2]


@dataclass(frozen=True)
class Breakdown:
    """Sections of bars under one name."""

    name: str
    description: str
    sections: Sequence[BarSection]


def failures(comparison: Comparison) -> list[Breakdown]:
    """Parsing failures, guesses and execution failures by kind, over all splits."""
    evaluations = [e for e in (comparison.before, comparison.after) if e is not None]
    breakdowns = [
        _counted(
            "Parsing failures",
            "fraction of all answers of the task, over all splits",
            {
                TITLES[task]: [_statuses(evaluation, task) for evaluation in evaluations]
                for task in Task
            },
            STATUS_DESCRIPTIONS,
        ),
        _counted(
            "Guesses of the parser",
            "fraction of all answers of the task; these answers are scored",
            {
                TITLES[task]: [_guesses(evaluation, task) for evaluation in evaluations]
                for task in Task
            },
            GUESS_DESCRIPTIONS,
        ),
        _counted(
            "Execution failures",
            "fraction of all executed traces, over all splits",
            {"": [_reasons(evaluation) for evaluation in evaluations]},
            EXECUTION_DESCRIPTIONS,
        ),
    ]
    return [breakdown for breakdown in breakdowns if breakdown.sections]


def _statuses(evaluation: ModelEvaluation, task: Task) -> tuple[Counter[str], int]:
    own = [record for record in evaluation.samples if record.task is task]
    return Counter(record.status for record in own if not record.parsed), len(own)


def _guesses(evaluation: ModelEvaluation, task: Task) -> tuple[Counter[str], int]:
    own = [record for record in evaluation.samples if record.task is task]
    return Counter(guess for record in own for guess in record.guesses), len(own)


def _reasons(evaluation: ModelEvaluation) -> tuple[Counter[str], int]:
    done = [record.execution for record in evaluation.samples if record.execution is not None]
    return Counter(each.reason for each in done if not each.success), len(done)


def _counted(
    name: str,
    description: str,
    found: Mapping[str, Sequence[tuple[Counter[str], int]]],
    descriptions: Mapping[str, str],
) -> Breakdown:
    fractions = [n / total for own in found.values() for c, total in own for n in c.values()]
    limit = round_up(max(fractions, default=1.0))
    sections: list[BarSection] = []
    ticks = tuple(f"{format_percent(fraction)} %" for fraction in (0, limit / 2, limit))
    for each, own in found.items():
        kinds = sum((counts for counts, _ in own), Counter[str]()).most_common()
        bars = [_count_bar(kind, descriptions.get(kind, ""), own, limit) for kind, _ in kinds]
        if bars:
            sections.append(BarSection(each, bars, (ticks[0], ticks[1], ticks[2])))
    return Breakdown(name, description, sections)


def _count_bar(
    kind: str, description: str, own: Sequence[tuple[Counter[str], int]], limit: float
) -> BarRow:
    values = [f"{counts[kind]:,} of {total:,}" for counts, total in own]
    if len({total for _, total in own}) == 1:
        values[:-1] = [f"{counts[kind]:,}" for counts, _ in own[:-1]]
    bars = [
        (series, counts[kind] / max(1, total), None, None)
        for series, (counts, total) in zip(_series(own), own, strict=True)
    ]
    return BarRow(
        kind.replace("_", " "),
        description,
        bar_chart(bars, limit, f"{kind}: {', '.join(values)}"),
        values,
    )


def _series(columns: Sequence[object]) -> list[str]:
    return ["before", "after"][-len(columns) :]


def categories(comparison: Comparison) -> list[Breakdown]:
    """The main metric of every category, with one breakdown for each split."""
    breakdowns: list[Breakdown] = []
    for split in comparison.after.result.splits:
        evaluation = [
            (task, metric) for task in Task if (metric := _category_metric(comparison, split, task))
        ]
        found = [_category_bars(comparison, split, task, metric) for task, metric in evaluation]
        sections = [section for section in found if section.bars]
        if sections:
            breakdowns.append(Breakdown(split, SPLIT_DESCRIPTIONS.get(split, ""), sections))
    return breakdowns


def _category_metric(comparison: Comparison, split: str, task: Task) -> Metric | None:
    """The first summary metric that the categories have."""
    result = comparison.after.task(split, task)
    available = (
        {name for own in result.categories.values() for name in own.measures} if result else ()
    )
    keys = [*HEADLINE_METRICS[task], "solved", "dfd", "success"]
    return next((metric_of(task, key) for key in keys if key in available), None)


def _category_bars(comparison: Comparison, split: str, task: Task, metric: Metric) -> BarSection:
    evaluations = [e for e in (comparison.before, comparison.after) if e is not None]
    tables = [
        {} if (result := evaluation.task(split, task)) is None else result.categories
        for evaluation in evaluations
    ]
    found = {
        name: [table[name].measures.get(metric.key) if name in table else None for table in tables]
        for name in tables[-1]
    }
    highest = [interval.high for own in found.values() for interval in own if interval is not None]
    limit = (
        1.0 if metric.key in ("iou", "success", "inside") else round_up(max(highest, default=1.0))
    )
    bars: list[tuple[float, BarRow]] = []
    for name, own in found.items():
        latest = own[-1]
        if latest is None:
            continue
        rows = [
            (series, interval.mean, interval.low, interval.high)
            for series, interval in zip(_series(tables), own, strict=True)
            if interval is not None
        ]
        values = [
            metric.format_value(None if interval is None else interval.mean) for interval in own
        ]
        chart = bar_chart(rows, limit, f"{name}: {', '.join(values)}")
        bars.append((latest.mean, BarRow(name, f"{tables[-1][name].count} answers", chart, values)))
    bars.sort(key=lambda pair: pair[0], reverse=metric.higher_is_better)
    positions = (0.0, limit / 2, limit)
    is_percent = metric.format is MetricFormat.PERCENT
    ticks = [
        f"{format_percent(position)} %" if is_percent else format_number(position)
        for position in positions
    ]
    better = "higher is better" if metric.higher_is_better else "lower is better"
    return BarSection(
        f"{metric.name}: {better}", [bar for _, bar in bars], (ticks[0], ticks[1], ticks[2])
    )
