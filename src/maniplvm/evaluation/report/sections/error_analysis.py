"""Error analysis of each task: success curves, error maps, target size, reasoning length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maniplvm.evaluation.report.charts.bins import BinChart, BinnedVariable, bin_chart
from maniplvm.evaluation.report.charts.chart import format_number
from maniplvm.evaluation.report.charts.error_maps import (
    COLOUR_SCALES,
    ColourScale,
    ErrorMap,
    error_map,
)
from maniplvm.evaluation.report.charts.thresholds import THRESHOLDS, ThresholdChart, threshold_chart
from maniplvm.evaluation.report.comparison import Comparison, named_evaluations
from maniplvm.evaluation.report.sample_metrics import (
    SUCCESS_NAMES,
    SampleMetrics,
    compute_sample_metrics,
    scoring_task,
)
from maniplvm.evaluation.report.sections.tables import TITLES
from maniplvm.tasks import Task

ALL = "all splits"

_SIZE_OF_BOX = BinnedVariable(
    "Size of the target",
    "From small to large targets. Each bin has about the same number of answers.",
    "area of the target [% of the image]",
    lambda metrics: metrics.size,
    lambda value: format_number(float(f"{100 * value:.2g}")),
)
_SIZE_OF_TRACE = replace(
    _SIZE_OF_BOX,
    description="From short to long motions. Each bin has about the same number of answers.",
    axis="diagonal of the trace’s bounds [% of the image diagonal]",
)
_REASONING = BinnedVariable(
    "Length of the reasoning",
    "From short to long. Samples differ between bins, so a trend does not show a cause.",
    "reasoning [characters]",
    lambda metrics: metrics.reasoning_length,
    format_number,
)


@dataclass(frozen=True)
class SplitAnalysis:
    """Error maps and binned success of one split, or of all splits."""

    name: str
    maps: Sequence[ErrorMap]
    charts: Sequence[BinChart]


@dataclass(frozen=True)
class TaskAnalysis:
    """Error analysis of one task.

    Attributes:
        title: Name of the task on the page.
        success: Definition of success in the bins.
        scale: Colour scale of the error maps.
        thresholds: A success curve for each split, after one for all splits.
        analyses: Maps and bins for each split, after those for all splits.
    """

    title: str
    success: str
    scale: ColourScale
    thresholds: Sequence[ThresholdChart]
    analyses: Sequence[SplitAnalysis]


def analyze_errors(comparison: Comparison) -> list[TaskAnalysis]:
    """Analyse every task of the evaluation."""
    evaluations = named_evaluations(comparison)
    task_analyses: list[TaskAnalysis] = []
    for task in Task:
        scored = [
            (series, name, own)
            for series, name, evaluation in evaluations
            if (own := compute_sample_metrics(evaluation, task)) is not None
        ]
        after = next((own for series, _, own in scored if series == "after"), None)
        if after is not None:
            scored_as = scoring_task(comparison.after, task)
            splits = list(dict.fromkeys(after.splits))
            task_analyses.append(_analyze_task(TITLES[task], scored_as, scored, splits))
    return task_analyses


def _analyze_task(
    title: str,
    scored_as: Task,
    evaluations: Sequence[tuple[str, str, SampleMetrics]],
    splits: Sequence[str],
) -> TaskAnalysis:
    selections: list[tuple[str, str | None]] = [(split, split) for split in splits]
    if len(splits) > 1:
        selections.insert(0, (ALL, None))
    size = _SIZE_OF_TRACE if scored_as is Task.TRAJECTORY else _SIZE_OF_BOX
    y_title = THRESHOLDS[scored_as].y_title
    curves = [threshold_chart(name, scored_as, evaluations, split) for name, split in selections]
    analyses: list[SplitAnalysis] = []
    for name, split in selections:
        maps = [error_map(label, scored_as, own, split) for _, label, own in evaluations]
        charts = [
            bin_chart(variable, evaluations, split, y_title) for variable in (size, _REASONING)
        ]
        analyses.append(
            SplitAnalysis(
                name,
                [each for each in maps if each is not None],
                [each for each in charts if each is not None],
            )
        )
    return TaskAnalysis(
        title,
        SUCCESS_NAMES[scored_as],
        COLOUR_SCALES[scored_as],
        [curve for curve in curves if curve is not None],
        analyses,
    )
