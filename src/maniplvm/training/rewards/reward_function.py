"""The reward of GRPO: the one scorer, called by TRL, with every term logged by name."""

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
    """Completions of one process with their scores, in the order of their groups."""

    samples: Sequence[Sample]
    texts: Sequence[str]
    scores: Sequence[Score]


class Reward:
    """A reward function as TRL calls it; every completion gets a finite number.

    Args:
        preset: What is rewarded.
        decode: Texts of completions from their tokens, as evaluation reads them.
        joint: Whether two tasks are trained, so that terms need the task in their names.
        physics: Adds terms that no label enters.
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
        """The totals of completions; terms and rates go to `log_metric`.

        Raises:
            ValueError: a total that is not finite: TRL would leave it out without a word.
        """
        texts = self._decode(completion_ids)
        scores = score_batch(texts, sample, self._preset, frame)
        if self._physics is not None:
            scores = self._physics.added(scores, sample)
            log_metric("executions_lost", float(self._physics.lost))
        self.latest = ScoredBatch(sample, texts, scores)
        for each, score in zip(sample, scores, strict=True):
            prefix = f"reward/{each.task}/" if self._joint else "reward/"
            for name, value in score.terms.items():
                log_metric(prefix + name, value)
            log_metric("parse_rate", float(score.answer.parsed))
            log_metric("format_rate", float(score.answer.well_formed))
        for task in Task:
            variety = answer_variety(self.latest, task)
            if variety is not None:
                log_metric("answer_variety", variety)
        totals = [score.total for score in scores]
        if not all(math.isfinite(total) for total in totals):
            raise ValueError(f"preset {self._preset.name}: a reward is not finite: {totals}")
        return totals


def answer_variety(batch: ScoredBatch, task: Task) -> float | None:
    """Different answers over different questions, at most 1.

    A policy that answers every question alike stays near 0 however good its rewards look. None
    where that cannot be told: below four questions, or where most completions are no answer.
    """
    mine = [
        (each.id, score.answer.value)
        for each, score in zip(batch.samples, batch.scores, strict=True)
        if each.task is task
    ]
    questions = {sample_id for sample_id, _ in mine}
    answers = [value.round(3).tobytes() for _, value in mine if value is not None]
    if len(questions) < 4 or len(answers) < len(mine) / 2:
        return None
    return min(1.0, len(set(answers)) / len(questions))
