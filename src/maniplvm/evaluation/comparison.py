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
    "execution",
    "parse_rate",
)
"""What is compared, where both evaluations have it; `task_reward` is the reward without its
format term."""

LOWER_IS_BETTER = frozenset({"dfd_diagonal", "dfd", "hd", "rmse", "avg", "end"})


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
        UserError: a folder without a finished evaluation, or no common sample.
    """
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
                for metric in METRICS
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


def _difference(
    metric: str, ids: list[str], first: _ById, second: _ById, seed: int
) -> Difference | None:
    pairs = [(id, _value(metric, first[id]), _value(metric, second[id])) for id in ids]
    known = [(id, a, b) for id, a, b in pairs if a is not None and b is not None]
    if not known:
        return None
    changes = [b - a for _, a, b in known]
    scenes = [second[id][0].scene for id, _, _ in known]
    return Difference(
        fmean(a for _, a, _ in known),
        fmean(b for _, _, b in known),
        bootstrap_mean(changes, groups=scenes, seed=seed),
        len(known),
    )


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
