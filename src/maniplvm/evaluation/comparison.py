"""Two evaluations of the same samples: paired differences with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.folder import replace_text
from maniplvm.evaluation.intervals import Interval, bootstrap_mean
from maniplvm.evaluation.protocols import PROTOCOLS
from maniplvm.evaluation.results import read_evaluation
from maniplvm.evaluation.scored import ScoredSample, read_samples
from maniplvm.tasks import Task

FORMAT = "maniplvm.comparison/1"
FILE = "comparison.json"

METRICS = (
    "iou",
    "success",
    "reward",
    "task_reward",
    "dfd_diagonal",
    "dfd",
    "hd",
    "rmse",
    "avg",
    "end",
    "inside",
    "mae",
    "dfd_unit",
    "hd_unit",
    "rmse_unit",
    "solved",
    "execution",
    "parse_rate",
)
"""What is compared, where both evaluations have it; `task_reward` is the reward without its
format term."""

LOWER_IS_BETTER = frozenset(
    measure.name
    for protocol in PROTOCOLS.values()
    for task in protocol.tasks.values()
    for measure in task.measures
    if measure.lower_is_better
)
"""Measures of any protocol of which less is better."""


@dataclass(frozen=True)
class Difference:
    """One metric before and after, on the samples that both answered.

    Attributes:
        before: Mean.
        after: Mean.
        difference: After minus before, sample by sample, bootstrapped over scenes.
        pairs: Samples.
    """

    before: float
    after: float
    difference: Interval
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two evaluations, paired.

    Attributes:
        before: The folder that is compared with.
        after: The folder that is compared.
        splits: Differences by split, task and metric.
    """

    before: str
    after: str
    splits: Mapping[str, Mapping[Task, Mapping[str, Difference]]]

    def to_json(self) -> dict[str, Any]:
        """Plain data, as in `comparison.json`."""
        splits = {
            split: {
                task.value: {
                    name: {
                        "before": d.before,
                        "after": d.after,
                        "difference": d.difference.to_json(),
                        "pairs": d.pairs,
                    }
                    for name, d in metrics.items()
                }
                for task, metrics in tasks.items()
            }
            for split, tasks in self.splits.items()
        }
        return {"format": FORMAT, "before": self.before, "after": self.after, "splits": splits}


def compare(before: str | Path, after: str | Path, seed: int = 0) -> Comparison:
    """Compare two finished evaluations and write `comparison.json` into the second's folder.

    Samples are paired by id, several draws of one averaged; those that only one side has are
    left out.

    Args:
        before: An evaluation's folder.
        after: An evaluation's folder.
        seed: Of the bootstrap.

    Raises:
        UserError: a folder without a finished evaluation, other protocols, or no common sample.
    """
    protocols = [read_evaluation(Path(folder)).protocol for folder in (before, after)]
    if protocols[0] != protocols[1]:
        raise UserError(
            f"{before} was measured by protocol {protocols[0]}, {after} by {protocols[1]}: their "
            "figures cannot be compared; score both alike with `maniplvm rescore`"
        )
    first, second = read_samples(Path(before)), read_samples(Path(after))
    splits = compare_samples(first, second, seed)
    if not splits:
        raise UserError(f"{before} and {after} have no sample in common; nothing to compare")
    result = Comparison(str(before), str(after), splits)
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    replace_text(Path(after) / FILE, text + "\n")
    return result


def compare_samples(
    before: Iterable[ScoredSample], after: Iterable[ScoredSample], seed: int = 0
) -> dict[str, dict[Task, dict[str, Difference]]]:
    """Paired differences by split, task and metric."""
    first, second = _by_id(before), _by_id(after)
    common: dict[str, dict[Task, list[str]]] = {}
    for id, own in second.items():
        if id in first and first[id][0].task is own[0].task:
            common.setdefault(own[0].split, {}).setdefault(own[0].task, []).append(id)
    return {
        split: {
            task: {
                metric: difference
                for metric in dict.fromkeys((*METRICS, *second[tasks[task][0]][0].measures))
                if (difference := _difference(metric, tasks[task], first, second, seed)) is not None
            }
            for task in Task
            if task in tasks
        }
        for split, tasks in common.items()
    }


_ById = Mapping[str, list[ScoredSample]]


def _by_id(samples: Iterable[ScoredSample]) -> dict[str, list[ScoredSample]]:
    by_id: dict[str, list[ScoredSample]] = {}
    for sample in samples:
        by_id.setdefault(sample.id, []).append(sample)
    return by_id


def paired_difference(
    before: Mapping[str, float],
    after: Mapping[str, float],
    scenes: Mapping[str, str],
    seed: int = 0,
) -> Difference | None:
    """One metric of two evaluations, paired by sample.

    Args:
        before: Values by sample id.
        after: Values by sample id.
        scenes: The scene of every sample in `after`; whole scenes are drawn.
        seed: Of the bootstrap.

    Returns:
        The difference over the samples that both have, or None where there are none.
    """
    common = [id for id in after if id in before]
    if not common:
        return None
    return Difference(
        fmean(before[id] for id in common),
        fmean(after[id] for id in common),
        bootstrap_mean(
            [after[id] - before[id] for id in common],
            groups=[scenes[id] for id in common],
            seed=seed,
        ),
        len(common),
    )


def _difference(
    metric: str, ids: list[str], first: _ById, second: _ById, seed: int
) -> Difference | None:
    return paired_difference(
        _values(metric, ids, first),
        _values(metric, ids, second),
        {id: second[id][0].scene for id in ids},
        seed,
    )


def _values(metric: str, ids: list[str], samples: _ById) -> dict[str, float]:
    found = {id: _value(metric, samples[id]) for id in ids}
    return {id: value for id, value in found.items() if value is not None}


def _value(metric: str, draws: list[ScoredSample]) -> float | None:
    """The mean over a sample's draws; None where the evaluation does not have the metric."""
    if metric == "reward":
        return fmean(draw.reward for draw in draws)
    if metric == "task_reward":
        return fmean(draw.reward - draw.terms.get("format", 0.0) for draw in draws)
    if metric == "parse_rate":
        return fmean(draw.parsed for draw in draws)
    if metric == "execution":
        solved = [draw.execution.success for draw in draws if draw.execution is not None]
        return fmean(solved) if len(solved) == len(draws) else None
    if metric in draws[0].measures:
        return fmean(draw.measures[metric] for draw in draws)
    return None
