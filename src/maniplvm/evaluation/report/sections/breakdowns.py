"""Where it fails: kinds of failure, and every category by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.report.charts.scales import percent, round_up, short
from maniplvm.evaluation.report.charts.tracks import bar_track
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.metrics import (
    EXECUTION_PHRASES,
    LEADING,
    SPLIT_PHRASES,
    STATUS_PHRASES,
    Form,
    Metric,
    metric_of,
)
from maniplvm.evaluation.report.sections.tables import TITLES, Compared
from maniplvm.tasks.sample import Task

MOST_BARS = 30
"""Categories that are shown at once."""


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
class Section:
    """Bars with a common axis.

    Attributes:
        name: What they measure; empty where the title says it.
        bars: The first ones are shown, the rest on demand.
        ends: The values at the left end, in the middle and at the right end, as written.
    """

    name: str
    bars: Sequence[Bar]
    ends: tuple[str, str, str]

    @property
    def shown(self) -> Sequence[Bar]:
        """Those at both ends of the order; all where there are few."""
        if len(self.bars) <= MOST_BARS:
            return self.bars
        return [*self.bars[: MOST_BARS // 2], *self.bars[-(MOST_BARS // 2) :]]

    @property
    def between(self) -> Sequence[Bar]:
        """The others, from the middle of the order."""
        return () if len(self.bars) <= MOST_BARS else self.bars[MOST_BARS // 2 : -MOST_BARS // 2]


@dataclass(frozen=True)
class Breakdown:
    """Bars under one name, in sections."""

    name: str
    phrase: str
    sections: Sequence[Section]


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
    name: str,
    phrase: str,
    found: Mapping[str, Sequence[tuple[Counter[str], int]]],
    phrases: Mapping[str, str],
) -> Breakdown:
    shares = [n / total for own in found.values() for c, total in own for n in c.values()]
    limit = round_up(max(shares, default=1.0))
    sections: list[Section] = []
    ends = tuple(f"{percent(share)} %" for share in (0, limit / 2, limit))
    for each, own in found.items():
        kinds = sum((counts for counts, _ in own), Counter[str]()).most_common()
        bars = [_count_bar(kind, phrases.get(kind, ""), own, limit) for kind, _ in kinds]
        if bars:
            sections.append(Section(each, bars, (ends[0], ends[1], ends[2])))
    return Breakdown(name, phrase, sections)


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
        measured = [(task, metric) for task in Task if (metric := _measure(compared, split, task))]
        found = [_category_bars(compared, split, task, metric) for task, metric in measured]
        sections = [section for section in found if section.bars]
        if sections:
            made.append(Breakdown(split, SPLIT_PHRASES.get(split, ""), sections))
    return made


def _measure(compared: Compared, split: str, task: Task) -> Metric | None:
    """The first leading metric that the categories hold."""
    result = compared.after.task(split, task)
    held = {name for own in result.categories.values() for name in own.measures} if result else ()
    keys = [*LEADING[task], "solved", "dfd", "success"]
    return next((metric_of(task, key) for key in keys if key in held), None)


def _category_bars(compared: Compared, split: str, task: Task, metric: Metric) -> Section:
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
    limit = (
        1.0 if metric.key in ("iou", "success", "inside") else round_up(max(highest, default=1.0))
    )
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
    places = (0.0, limit / 2, limit)
    is_share = metric.form is Form.SHARE
    ends = [f"{percent(place)} %" if is_share else short(place) for place in places]
    better = "more is better" if metric.higher_is_better else "less is better"
    return Section(
        f"{metric.name}: {better}", [bar for _, bar in bars], (ends[0], ends[1], ends[2])
    )
