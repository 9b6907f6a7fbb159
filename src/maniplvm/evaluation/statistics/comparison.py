"""Paired differences between evaluations of the same samples, with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols import PROTOCOLS
from maniplvm.evaluation.records import ScoredSample, read_evaluation, read_samples
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_test
from maniplvm.files import write_json
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
"""The compared metrics, if both evaluations have them; `task_reward` is the reward without its
format term."""

LOWER_IS_BETTER = frozenset(
    measure.name
    for protocol in PROTOCOLS.values()
    for task in protocol.tasks.values()
    for measure in task.measures
    if measure.lower_is_better
)
"""Measures of all protocols for which lower is better."""


@dataclass(frozen=True)
class Difference:
    """One metric before and after, on the common samples.

    Attributes:
        before: The mean before.
        after: The mean after.
        difference: After minus before, paired by sample, bootstrapped over scenes and runs.
        pairs: Number of samples in each run.
        p: Two-sided p-value of no difference (`bootstrap_test`); not corrected for multiple
            comparisons.
    """

    before: float
    after: float
    difference: Interval
    pairs: int
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Comparison:
    """The paired comparison of two evaluations.

    Attributes:
        before: The folder that is compared with.
        after: The folder that is compared.
        splits: Differences by split, task and metric.
    """

    before: str
    after: str
    splits: Mapping[str, Mapping[Task, Mapping[str, Difference]]]

    def to_json(self) -> dict[str, Any]:
        """The content of `comparison.json`."""
        splits = {
            split: {
                task.value: {
                    name: {
                        "before": d.before,
                        "after": d.after,
                        "difference": d.difference.to_json(),
                        "pairs": d.pairs,
                        "p": d.p,
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

    Samples are paired by id, and several draws of one sample are averaged. Samples of only one
    evaluation are left out.

    Args:
        before: The folder of the first evaluation.
        after: The folder of the second evaluation.
        seed: Seed of the bootstrap.

    Raises:
        UserError: a folder has no finished evaluation, the protocols differ, or no sample is common.
    """
    protocols = [read_evaluation(Path(folder)).protocol for folder in (before, after)]
    if protocols[0] != protocols[1]:
        raise UserError(
            f"{before} was measured by protocol {protocols[0]}, {after} by {protocols[1]}: their "
            "figures cannot be compared; score both under one protocol with `maniplvm rescore`"
        )
    first, second = read_samples(Path(before)), read_samples(Path(after))
    splits = compare_samples(first, second, seed)
    if not splits:
        raise UserError(f"{before} and {after} have no sample in common; nothing to compare")
    result = Comparison(str(before), str(after), splits)
    write_json(Path(after) / FILE, result.to_json())
    return result


def compare_samples(
    before: Iterable[ScoredSample], after: Iterable[ScoredSample], seed: int = 0
) -> dict[str, dict[Task, dict[str, Difference]]]:
    """Paired differences by split, task and metric."""
    return compare_runs([(before, after)], seed)


def compare_runs(
    runs: Sequence[tuple[Iterable[ScoredSample], Iterable[ScoredSample]]], seed: int = 0
) -> dict[str, dict[Task, dict[str, Difference]]]:
    """Paired differences by split, task and metric, over several runs such as training seeds.

    Args:
        runs: The scored samples before and after of each run. Samples are paired by id, and several
            draws of one sample are averaged. Samples that are not in all of them are left out.
        seed: Seed of the bootstrap, which resamples runs and scenes (`bootstrap_test`).
    """
    sides = [(_by_id(before), _by_id(after)) for before, after in runs]
    common: dict[str, dict[Task, list[str]]] = {}
    for id, own in sides[0][1].items():
        task = own[0].task
        if all(id in side and side[id][0].task is task for both in sides for side in both):
            common.setdefault(own[0].split, {}).setdefault(task, []).append(id)
    after = sides[0][1]
    return {
        split: {
            task: {
                metric: difference
                for metric in dict.fromkeys((*METRICS, *after[tasks[task][0]][0].measures))
                if (difference := _difference(metric, tasks[task], sides, seed)) is not None
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
        scenes: The scene of every sample in `after`; the bootstrap resamples whole scenes.
        seed: Seed of the bootstrap.

    Returns:
        The difference over the common samples, or None if there are none.
    """
    return _paired([(before, after)], scenes, seed)


def _difference(
    metric: str, ids: list[str], sides: Sequence[tuple[_ById, _ById]], seed: int
) -> Difference | None:
    runs = [(_values(metric, ids, before), _values(metric, ids, after)) for before, after in sides]
    return _paired(runs, {id: sides[0][1][id][0].scene for id in ids}, seed)


def _paired(
    runs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
    scenes: Mapping[str, str],
    seed: int,
) -> Difference | None:
    common = [id for id in runs[0][1] if all(id in side for both in runs for side in both)]
    if not common:
        return None
    first, second = (np.array([[both[k][id] for id in common] for both in runs]) for k in (0, 1))
    changes, p = bootstrap_test(second - first, groups=[scenes[id] for id in common], seed=seed)
    return Difference(fmean(first.flat), fmean(second.flat), changes, len(common), p)


def _values(metric: str, ids: list[str], samples: _ById) -> dict[str, float]:
    found = {id: _value(metric, samples[id]) for id in ids}
    return {id: value for id, value in found.items() if value is not None}


def _value(metric: str, draws: list[ScoredSample]) -> float | None:
    """The mean over a sample's draws; None if the evaluation does not have the metric."""
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
