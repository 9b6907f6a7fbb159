"""The reward function of GRPO: the scores of `maniplvm.rewards`, with every term logged by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maniplvm.geometry import Frame
from maniplvm.rewards import Score, score_batch
from maniplvm.rewards.presets import Preset
from maniplvm.tasks import Sample, Task
from maniplvm.training.rewards.physics import PhysicsReward


@dataclass(frozen=True)
class ScoredBatch:
    """Completions of one process with their scores.

    Attributes:
        samples: The B samples, in the order of their groups.
        texts: Their B completions.
        scores: Their B scores.
    """

    samples: Sequence[Sample]
    texts: Sequence[str]
    scores: Sequence[Score]


class RewardFunction:
    """A reward function that TRL can call; every completion gets a finite reward.

    Args:
        preset: The reward terms and their weights.
        decode: Turns token ids into texts, in the same way as evaluation does.
        joint: Whether two tasks are trained, so that the names of terms must hold the task.
        physics: Adds reward terms from simulation, if the recipe asks for them.

    Attributes:
        latest: The latest batch; None before the first one.
    """

    def __init__(
        self,
        preset: Preset,
        decode: Callable[[list[list[int]]], list[str]],
        joint: bool,
        physics: PhysicsReward | None = None,
    ) -> None:
        self.__name__ = "reward"
        self._preset = preset
        self._decode = decode
        self._joint = joint
        self._physics = physics
        self.latest: ScoredBatch | None = None

    def __call__(
        self,
        completion_ids: list[list[int]],
        sample: list[Sample],
        frame: list[Frame],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """The total rewards of completions; terms and rates go to `log_metric`.

        Raises:
            ValueError: a reward is not finite. TRL would ignore it silently.
        """
        texts = self._decode(completion_ids)
        scores = score_batch(texts, sample, self._preset, frame)
        if self._physics is not None:
            scores = self._physics.add_terms(scores, sample)
            log_metric("executions_lost", float(self._physics.lost))
        self.latest = ScoredBatch(sample, texts, scores)
        for each, score in zip(sample, scores, strict=True):
            prefix = f"reward/{each.task}/" if self._joint else "reward/"
            for name, value in score.terms.items():
                log_metric(prefix + name, value)
            log_metric("parse_rate", float(score.answer.parsed))
            log_metric("format_rate", float(score.answer.well_formed))
        for task in Task:
            diversity = answer_diversity(self.latest, task)
            if diversity is not None:
                log_metric("answer_diversity", diversity)
        totals = [score.total for score in scores]
        if not all(math.isfinite(total) for total in totals):
            raise ValueError(f"preset {self._preset.name}: a reward is not finite: {totals}")
        return totals


def answer_diversity(batch: ScoredBatch, task: Task) -> float | None:
    """Number of different answers divided by the number of prompts, at most 1.

    A policy that gives the same answer to every prompt stays near 0, whatever its reward. The value
    is None for fewer than four prompts, or if most completions hold no answer.
    """
    answers = [
        (each.id, score.answer.value)
        for each, score in zip(batch.samples, batch.scores, strict=True)
        if each.task is task
    ]
    prompts = {sample_id for sample_id, _ in answers}
    values = [value.round(3).tobytes() for _, value in answers if value is not None]
    if len(prompts) < 4 or len(values) < len(answers) / 2:
        return None
    return min(1.0, len(set(values)) / len(prompts))
