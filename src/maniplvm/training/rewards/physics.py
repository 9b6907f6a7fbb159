"""Physics as the teacher: answers are tried out in the scene that they are about.

A trace is followed (`simulation.execution.follow_trace`): the image's path is the policy's, depth
and gripper are those of the sample's demonstration. A box is touched (`run_push_test`): nothing of a
demonstration is used. Neither looks at a target.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from maniplvm.errors import UserError
from maniplvm.rewards import Score
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Answer, Sample, Task
from maniplvm.training.config.physics_settings import PhysicsSettings

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution, ExecutionPool, PushTestResult

DECIMALS = 1
"""Answers that agree in so many decimals [px] are tried once."""
MOST_KEPT = 200_000
"""Answers whose outcome is remembered."""
_LOST = ("crashed", "timeout")

Terms: TypeAlias = dict[str, float]
_Key: TypeAlias = tuple[str, str, bytes]


class PhysicsReward:
    """Adds the terms of physics to scores; a pure function of the answers unless time runs out.

    Worker processes start with the first answer and end with this object. One that dies or gets
    stuck is replaced; its answer earns nothing and is not remembered.

    Args:
        settings: What is paid.

    Attributes:
        lost: Answers of the latest batch that got no outcome.
    """

    def __init__(self, settings: PhysicsSettings) -> None:
        require_mujoco()
        self._settings = settings
        self._tasks = {task for task in Task if task is Task.POINTING or settings.terms_of(task)}
        self._known: dict[_Key, Terms] = {}
        self._pool: ExecutionPool | None = None
        self.lost = 0

    def added(self, scores: Sequence[Score], samples: Sequence[Sample]) -> list[Score]:
        """The scores with the terms of physics besides their own.

        Args:
            scores: B scores with their answers, in original pixels.
            samples: Their B samples.

        Raises:
            UserError: a sample does not come from simulation, or its world cannot be opened.
        """
        keys = [
            _key(score.answer, each) if each.task in self._tasks else None
            for score, each in zip(scores, samples, strict=True)
        ]
        wanted = {
            key: (each, score.answer)
            for key, score, each in zip(keys, scores, samples, strict=True)
            if key is not None and key not in self._known
        }
        known = {key: self._known[key] for key in keys if key in self._known}
        found = known | self._tried(wanted)
        paid = [
            self._nothing(each.task) if key is None else found[key]
            for key, each in zip(keys, samples, strict=True)
        ]
        return [
            Score(score.total + sum(terms.values()), {**score.terms, **terms}, score.answer)
            for score, terms in zip(scores, paid, strict=True)
        ]

    def _tried(self, wanted: Mapping[_Key, tuple[Sample, Answer]]) -> dict[_Key, Terms]:
        """What new answers earn; what is certain is remembered."""
        from maniplvm.simulation.execution import ExecutionJob, PushTestJob

        self.lost = 0
        if not wanted:
            return {}
        traces = [key for key, (sample, _) in wanted.items() if sample.task is Task.TRAJECTORY]
        boxes = [key for key, (sample, _) in wanted.items() if sample.task is Task.AFFORDANCE]
        pool = self._open()
        followed = pool.run(
            [ExecutionJob(wanted[key][0], _tried_answer(wanted[key][1])) for key in traces]
        )
        touched = pool.run_push_tests(
            [PushTestJob(wanted[key][0], _tried_answer(wanted[key][1])) for key in boxes]
        )
        found = {key: self._of_trace(own) for key, own in zip(traces, followed, strict=True)}
        found |= {key: self._of_box(own) for key, own in zip(boxes, touched, strict=True)}
        certain = [key for key, own in zip(traces, followed, strict=True) if not _is_lost(own)]
        certain += [
            key for key, own in zip(boxes, touched, strict=True) if own.outcome not in _LOST
        ]
        self.lost = len(wanted) - len(certain)
        if len(self._known) + len(certain) > MOST_KEPT:
            self._known.clear()
        self._known |= {key: found[key] for key in certain}
        return found

    def _open(self) -> ExecutionPool:
        from maniplvm.simulation.execution import ExecutionPool

        if self._pool is None:
            self._pool = ExecutionPool(self._settings.workers, self._settings.timeout)
            weakref.finalize(self, self._pool.close)
        return self._pool

    def _of_trace(self, outcome: Execution) -> Terms:
        shares = {"solved": float(outcome.success), "progress": outcome.progress}
        return self._paid(Task.TRAJECTORY, shares)

    def _of_box(self, outcome: PushTestResult) -> Terms:
        return self._paid(Task.AFFORDANCE, {"touch": float(outcome.helps), "fit": outcome.fit})

    def _paid(self, task: Task, shares: Mapping[str, float]) -> Terms:
        return {name: w * shares[name] for name, w in self._settings.terms_of(task).items()}

    def _nothing(self, task: Task) -> Terms:
        return dict.fromkeys(self._settings.terms_of(task), 0.0)


def _key(answer: Answer, sample: Sample) -> _Key | None:
    if "world" not in sample.provenance or sample.task is Task.POINTING:
        raise UserError(
            f"rewards.physics: sample {sample.id!r} is no box or trace of a simulated scene; train "
            "on data that `maniplvm simulate` made"
        )
    value = _tried_answer(answer)
    if value is None:
        return None
    return sample.id, str(sample.provenance.get("seed")), value.tobytes()


def _tried_answer(answer: Answer) -> np.ndarray | None:
    return None if answer.value is None else np.round(answer.value, DECIMALS) + 0.0


def _is_lost(outcome: Execution) -> bool:
    """Whether the machine failed and not the trace: a motion out of steps is an outcome."""
    return outcome.reason == "crashed" or (outcome.reason == "timeout" and not outcome.steps)
