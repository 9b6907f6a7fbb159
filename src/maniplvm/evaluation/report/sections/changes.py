"""What changed between two evaluations, with a verdict that its interval allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from maniplvm.errors import UserError
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.metrics import METRICS, Metric
from maniplvm.evaluation.statistics.comparison import Difference, compare_samples
from maniplvm.tasks.sample import Task


class Verdict(StrEnum):
    """What a 95 % interval says about a difference."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear change"


@dataclass(frozen=True)
class Change:
    """One figure of one split and task, before and after.

    Attributes:
        split: Its name.
        metric: What was measured.
        found: Both means, and the paired difference with its interval.
    """

    split: str
    metric: Metric
    found: Difference

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the interval leaves zero out."""
        if not self.found.is_clear:
            return Verdict.UNCLEAR
        rose = self.found.difference.mean > 0
        return Verdict.BETTER if rose == self.metric.higher_is_better else Verdict.WORSE

    @property
    def told(self) -> str:
        """The difference with its interval, as written."""
        return f"{self.metric.show_difference(self.found.difference.mean)} ({self.span})"

    @property
    def span(self) -> str:
        """The interval of the difference, as written."""
        difference = self.found.difference
        return self.metric.difference_span(difference.low, difference.high)


Changes = Mapping[tuple[str, Task, str], Change]
"""By split, task and the metric's key."""


def changes_between(before: Measured, after: Measured) -> Changes:
    """Every figure that both evaluations hold, paired by sample.

    Raises:
        UserError: evaluations of different data, or without a common sample.
    """
    _check_same_measure(before, after)
    _check_same_data(before, after)
    splits = compare_samples(before.samples, after.samples)
    return {
        (split, task, metric.key): Change(split, metric, differences[metric.key])
        for split, tasks in splits.items()
        for task, differences in tasks.items()
        for metric in METRICS[task]
        if metric.key in differences
    }


def comparability(before: Measured, after: Measured) -> list[str]:
    """What a reader must know about two evaluations that are compared, in sentences."""
    notes: list[str] = []
    ids, others = ({sample.id for sample in one.samples} for one in (before, after))
    if ids != others:
        notes.append(
            f"{before.label} and {after.label} did not answer the same samples: their differences "
            f"are over the {len(ids & others):,} that both answered, of {len(ids | others):,}."
        )
    if dict(before.result.decoding).get("temperature") != dict(after.result.decoding).get(
        "temperature"
    ):
        notes.append(f"{before.label} and {after.label} were decoded at different temperatures.")
    if before.result.wrong_instruction != after.result.wrong_instruction:
        notes.append(f"One of {before.label} and {after.label} was asked wrong instructions.")
    return notes


def _check_same_measure(before: Measured, after: Measured) -> None:
    for name in ("protocol", "preset"):
        one, other = getattr(before.result, name), getattr(after.result, name)
        if one != other:
            raise UserError(
                f"{before.folder} and {after.folder} cannot be compared: {name} {one} and "
                f"{other}; evaluate both with the same --{name}"
            )


def _check_same_data(before: Measured, after: Measured) -> None:
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
                f"{before.folder} and {after.folder} are of different data: sample {sample.id} "
                "has another target; evaluate both models on the same data"
            )
