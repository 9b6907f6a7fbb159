"""Reward terms from simulation: answers are executed in the scene of their sample.

A trace is followed (`simulation.execution.follow_trace`): the policy gives the path in the image,
the sample's demonstration gives depth and gripper. A box is checked by a push test
(`run_push_test`) without any demonstration. Neither term uses the target.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from maniplvm.cluster import ray_address
from maniplvm.errors import UserError
from maniplvm.rewards import Score
from maniplvm.simulation.provenance import is_simulated
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Answer, Sample, Task
from maniplvm.training.config.physics_settings import PhysicsSettings

if TYPE_CHECKING:
    from maniplvm.simulation.execution import (
        Execution,
        ExecutionPool,
        PushTestResult,
        RayExecutionPool,
    )

DECIMALS = 1
"""Answers that are equal after rounding to this many decimals [px] are executed once."""
MAX_CACHED = 200_000
"""Maximum number of answers whose outcome is cached."""
_LOST = ("crashed", "timeout")

Terms: TypeAlias = dict[str, float]
_Key: TypeAlias = tuple[str, str, bytes]


class PhysicsReward:
    """Adds the terms from simulation to scores; deterministic unless an execution times out.

    Worker processes start with the first answer and end with this object. A worker that crashes or
    hangs is replaced. Its answer gets reward 0 and is not cached.

    Args:
        settings: The weights of the terms and the limits of the workers.

    Attributes:
        lost: Number of answers of the latest batch without an outcome.
    """

    def __init__(self, settings: PhysicsSettings) -> None:
        require_mujoco()
        self._settings = settings
        self._tasks = {task for task in Task if task is Task.POINTING or settings.terms_of(task)}
        self._cache: dict[_Key, Terms] = {}
        self._pool: ExecutionPool | RayExecutionPool | None = None
        self.lost = 0

    def add_terms(self, scores: Sequence[Score], samples: Sequence[Sample]) -> list[Score]:
        """The scores with the terms from simulation added.

        Args:
            scores: B scores whose answers are in original pixels.
            samples: The B samples.

        Raises:
            UserError: a sample does not come from simulation, or its world cannot be opened.
        """
        keys = [
            _key(score.answer, each) if each.task in self._tasks else None
            for score, each in zip(scores, samples, strict=True)
        ]
        new = {
            key: (each, score.answer)
            for key, score, each in zip(keys, scores, samples, strict=True)
            if key is not None and key not in self._cache
        }
        known = {key: self._cache[key] for key in keys if key in self._cache}
        found = known | self._execute(new)
        terms = [
            self._zero(each.task) if key is None else found[key]
            for key, each in zip(keys, samples, strict=True)
        ]
        return [
            Score(score.total + sum(added.values()), {**score.terms, **added}, score.answer)
            for score, added in zip(scores, terms, strict=True)
        ]

    def _execute(self, new: Mapping[_Key, tuple[Sample, Answer]]) -> dict[_Key, Terms]:
        """Execute new answers and cache the outcomes that are certain."""
        from maniplvm.simulation.execution import ExecutionJob, PushTestJob

        self.lost = 0
        if not new:
            return {}
        traces = [key for key, (sample, _) in new.items() if sample.task is Task.TRAJECTORY]
        boxes = [key for key, (sample, _) in new.items() if sample.task is Task.AFFORDANCE]
        pool = self._open()
        followed = pool.run([ExecutionJob(new[key][0], _rounded(new[key][1])) for key in traces])
        touched = pool.run_push_tests(
            [PushTestJob(new[key][0], _rounded(new[key][1])) for key in boxes]
        )
        found = {key: self._of_trace(own) for key, own in zip(traces, followed, strict=True)}
        found |= {key: self._of_box(own) for key, own in zip(boxes, touched, strict=True)}
        certain = [key for key, own in zip(traces, followed, strict=True) if not _is_lost(own)]
        certain += [
            key for key, own in zip(boxes, touched, strict=True) if own.outcome not in _LOST
        ]
        self.lost = len(new) - len(certain)
        if len(self._cache) + len(certain) > MAX_CACHED:
            self._cache.clear()
        self._cache |= {key: found[key] for key in certain}
        return found

    def _open(self) -> ExecutionPool | RayExecutionPool:
        from maniplvm.simulation.execution import open_execution_pool

        if self._pool is None:
            own = self._settings
            self._pool = open_execution_pool(own.workers, own.timeout, ray_address(own.ray))
            weakref.finalize(self, self._pool.close)
        return self._pool

    def _of_trace(self, outcome: Execution) -> Terms:
        values = {"solved": float(outcome.success), "progress": outcome.progress}
        return self._weighted(Task.TRAJECTORY, values)

    def _of_box(self, outcome: PushTestResult) -> Terms:
        return self._weighted(Task.AFFORDANCE, {"touch": float(outcome.helps), "fit": outcome.fit})

    def _weighted(self, task: Task, values: Mapping[str, float]) -> Terms:
        return {name: w * values[name] for name, w in self._settings.terms_of(task).items()}

    def _zero(self, task: Task) -> Terms:
        return dict.fromkeys(self._settings.terms_of(task), 0.0)


def _key(answer: Answer, sample: Sample) -> _Key | None:
    if not is_simulated(sample) or sample.task is Task.POINTING:
        raise UserError(
            f"rewards.physics: sample {sample.id!r} is not a box or trace of a simulated scene; train "
            "on data from `maniplvm simulate`"
        )
    value = _rounded(answer)
    if value is None:
        return None
    return sample.id, sample.scene, value.tobytes()


def _rounded(answer: Answer) -> np.ndarray | None:
    return None if answer.value is None else np.round(answer.value, DECIMALS) + 0.0


def _is_lost(outcome: Execution) -> bool:
    """Whether the worker failed, not the trace. A motion that ran out of steps is an outcome."""
    return outcome.reason == "crashed" or (outcome.reason == "timeout" and not outcome.steps)
