"""Comparison of evaluations: paired differences with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maniplvm.errors import UserError
from maniplvm.evaluation.report.charts.chart import series_classes
from maniplvm.evaluation.report.folders import ModelEvaluation
from maniplvm.evaluation.report.metrics import METRICS, Metric
from maniplvm.evaluation.statistics.comparison import Difference, compare_samples
from maniplvm.tasks.sample import Task


class Verdict(StrEnum):
    """Verdict on a difference, from its 95 % interval."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear change"


@dataclass(frozen=True)
class Change:
    """Change of one metric on one split.

    Attributes:
        split: Name of the split.
        metric: The metric.
        paired_difference: Both means, and the paired difference with its interval.
    """

    split: str
    metric: Metric
    paired_difference: Difference

    @property
    def verdict(self) -> Verdict:
        """Better or worse if the interval excludes zero, else unclear."""
        if not self.paired_difference.is_clear:
            return Verdict.UNCLEAR
        increased = self.paired_difference.difference.mean > 0
        return Verdict.BETTER if increased == self.metric.higher_is_better else Verdict.WORSE

    @property
    def text(self) -> str:
        """The difference with its interval, formatted."""
        return f"{self.metric.format_difference(self.paired_difference.difference.mean)} ({self.interval_text})"

    @property
    def interval_text(self) -> str:
        """The interval of the difference, formatted."""
        difference = self.paired_difference.difference
        return self.metric.format_difference_interval(difference.low, difference.high)


Changes = Mapping[tuple[str, Task, str], Change]
"""Changes by split, task and key of the metric."""


@dataclass(frozen=True)
class Comparison:
    """The evaluations of a page and their differences.

    Attributes:
        before: Evaluation of the model before training, or None.
        after: Evaluation of the model of the page.
        changes: Changes from `before` to `after`.
        controls: Evaluations of other models, each with the changes from it to `after`.
        notes: Sentences on the limits of the comparison.
    """

    before: ModelEvaluation | None
    after: ModelEvaluation
    changes: Changes
    controls: Sequence[tuple[ModelEvaluation, Changes]] = ()
    notes: Sequence[str] = ()


def compare_evaluations(before: ModelEvaluation, after: ModelEvaluation) -> Changes:
    """Compare all metrics of two evaluations, paired by sample.

    Raises:
        UserError: The evaluations have different data, or no common sample.
    """
    _check_same_protocol(before, after)
    _check_same_data(before, after)
    splits = compare_samples(before.samples, after.samples)
    return {
        (split, task, metric.key): Change(split, metric, differences[metric.key])
        for split, tasks in splits.items()
        for task, differences in tasks.items()
        for metric in METRICS[task]
        if metric.key in differences
    }


def named_evaluations(comparison: Comparison) -> list[tuple[str, str, ModelEvaluation]]:
    """CSS class, name and content of every evaluation, in the order of the page."""
    controls = [control for control, _ in comparison.controls]
    found = [("control", control) for control in controls]
    found.insert(0, ("after", comparison.after))
    if comparison.before is not None:
        found.insert(0, ("before", comparison.before))
    classes = series_classes(len(found), has_before=comparison.before is not None)
    alone = len(found) == 1
    return [
        (series, each.label if alone else f"{each.label} ({role})", each)
        for series, (role, each) in zip(classes, found, strict=True)
    ]


def comparison_notes(before: ModelEvaluation, after: ModelEvaluation) -> list[str]:
    """Sentences on the limits of the comparison of two evaluations."""
    notes: list[str] = []
    ids, others = ({sample.id for sample in one.samples} for one in (before, after))
    if ids != others:
        notes.append(
            f"{before.label} and {after.label} have different samples. The differences "
            f"use the {len(ids & others):,} common samples of {len(ids | others):,}."
        )
    if dict(before.result.decoding).get("temperature") != dict(after.result.decoding).get(
        "temperature"
    ):
        notes.append(f"{before.label} and {after.label} have different sampling temperatures.")
    if before.result.wrong_instruction != after.result.wrong_instruction:
        notes.append(
            f"One of {before.label} and {after.label} was evaluated with wrong instructions."
        )
    return notes


def _check_same_protocol(before: ModelEvaluation, after: ModelEvaluation) -> None:
    for name in ("protocol", "preset"):
        one, other = getattr(before.result, name), getattr(after.result, name)
        if one != other:
            raise UserError(
                f"{before.folder} and {after.folder} cannot be compared: {name} {one} and "
                f"{other}; evaluate both with the same --{name}"
            )


def _check_same_data(before: ModelEvaluation, after: ModelEvaluation) -> None:
    targets = {sample.id: sample.target for sample in before.samples}
    common = [sample for sample in after.samples if sample.id in targets]
    if not common:
        raise UserError(
            f"{before.folder} and {after.folder} have no sample in common; evaluate both models "
            f"on the same data (they name {before.result.data} and {after.result.data})"
        )
    for sample in common:
        if sample.target != targets[sample.id]:
            raise UserError(
                f"{before.folder} and {after.folder} have different data: sample {sample.id} "
                "has another target; evaluate both models on the same data"
            )
