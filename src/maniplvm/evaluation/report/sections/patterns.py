"""Where it works and where not: thresholds, places, sizes and lengths, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maniplvm.evaluation.report.charts.bins import BinChart, Question, bin_chart
from maniplvm.evaluation.report.charts.charts import series_of
from maniplvm.evaluation.report.charts.maps import SCALES, ErrorMap, Scale, error_map
from maniplvm.evaluation.report.charts.scales import short
from maniplvm.evaluation.report.charts.thresholds import THRESHOLDS, ThresholdChart, threshold_chart
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.sample_metrics import SUCCESS_NAMES, Judged, judge, yardstick_of
from maniplvm.evaluation.report.sections.tables import TITLES, Compared
from maniplvm.tasks import Task

ALL = "all splits"

_SIZE_OF_BOX = Question(
    "Size of the target",
    "From the smallest targets to the largest; each bin holds about the same number.",
    "target’s area [% of the image]",
    lambda judged: judged.size,
    lambda value: short(float(f"{100 * value:.2g}")),
)
_SIZE_OF_TRACE = replace(
    _SIZE_OF_BOX,
    phrase="From the shortest motions to the widest; each bin holds about the same number.",
    axis="diagonal of the trace’s bounds [% of the image’s]",
)
_REASONING = Question(
    "Length of the reasoning",
    "From brief to long. Other samples call for other words, so a slope is no proof of a cause.",
    "reasoning [characters]",
    lambda judged: judged.reasoning,
    short,
)


@dataclass(frozen=True)
class Pane:
    """One split of a task: maps and charts."""

    name: str
    maps: Sequence[ErrorMap]
    charts: Sequence[BinChart]


@dataclass(frozen=True)
class Pattern:
    """One task.

    Attributes:
        title: What the task is called.
        success: What counts as success in the bins.
        scale: Of the maps.
        thresholds: A chart for each split, all splits first.
        panes: Maps and bins for each split, all splits first.
    """

    title: str
    success: str
    scale: Scale
    thresholds: Sequence[ThresholdChart]
    panes: Sequence[Pane]


def named_evaluations(compared: Compared) -> list[tuple[str, str, Measured]]:
    """Class, name and content of every evaluation, in the order of the page."""
    controls = [control for control, _ in compared.controls]
    found = [("control", control) for control in controls]
    found.insert(0, ("after", compared.after))
    if compared.before is not None:
        found.insert(0, ("before", compared.before))
    classes = series_of(len(found), has_before=compared.before is not None)
    alone = len(found) == 1
    return [
        (series, each.label if alone else f"{each.label} ({role})", each)
        for series, (role, each) in zip(classes, found, strict=True)
    ]


def patterns(compared: Compared) -> list[Pattern]:
    """Every task that was asked, in the order of the tasks."""
    evaluations = named_evaluations(compared)
    made: list[Pattern] = []
    for task in Task:
        judged = [
            (series, name, own)
            for series, name, measured in evaluations
            if (own := judge(measured, task)) is not None
        ]
        of_page = next((own for series, _, own in judged if series == "after"), None)
        if of_page is not None:
            yardstick = yardstick_of(compared.after, task)
            splits = list(dict.fromkeys(of_page.splits))
            made.append(_pattern(TITLES[task], yardstick, judged, splits))
    return made


def _pattern(
    title: str,
    yardstick: Task,
    judged: Sequence[tuple[str, str, Judged]],
    splits: Sequence[str],
) -> Pattern:
    asked: list[tuple[str, str | None]] = [(split, split) for split in splits]
    if len(splits) > 1:
        asked.insert(0, (ALL, None))
    size = _SIZE_OF_TRACE if yardstick is Task.TRAJECTORY else _SIZE_OF_BOX
    who = THRESHOLDS[yardstick].who
    curves = [threshold_chart(name, yardstick, judged, split) for name, split in asked]
    panes: list[Pane] = []
    for name, split in asked:
        maps = [error_map(label, yardstick, own, split) for _, label, own in judged]
        charts = [bin_chart(question, judged, split, who) for question in (size, _REASONING)]
        panes.append(
            Pane(
                name,
                [each for each in maps if each is not None],
                [each for each in charts if each is not None],
            )
        )
    return Pattern(
        title,
        SUCCESS_NAMES[yardstick],
        SCALES[yardstick],
        [curve for curve in curves if curve is not None],
        panes,
    )
