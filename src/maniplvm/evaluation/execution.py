"""Answers followed in physics: the one way from predictions to executions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.scored import read_answer
from maniplvm.simulation.provenance import is_simulated, task_of
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Sample, Task

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution

TIMEOUT = 20.0
"""Most seconds for one motion."""
_PIECE = 64


def can_be_executed(sample: Sample) -> bool:
    """Whether a sample asks for a trace in a scene that the simulator can rebuild."""
    return sample.task is Task.TRAJECTORY and is_simulated(sample)


def execute_answers(
    predictions: Sequence[Prediction],
    samples: Sequence[Sample],
    workers: int = 2,
    timeout: float = TIMEOUT,
    progress: Callable[[int], None] = lambda finished: None,
) -> Iterator[tuple[Prediction, Execution]]:
    """Follow predicted traces; needs the simulator, but no OpenGL.

    Args:
        predictions: B predictions.
        samples: Their B samples, all of which can be executed.
        workers: Processes.
        timeout: Most seconds for one motion.
        progress: Told how many more have finished.

    Yields:
        Each prediction with what became of it, samples of one category together: a caller may
        write them down as they come.

    Raises:
        UserError: the simulator is missing, a sample does not come from it, or a bad frame.
    """
    for sample in samples:
        if not can_be_executed(sample):
            raise UserError(
                f"sample {sample.id} does not come from simulation and cannot be executed"
            )
    require_mujoco()
    from maniplvm.simulation.execution import ExecutionJob, ExecutionPool

    jobs = [
        (said, ExecutionJob(sample, read_answer(said, sample).value))
        for said, sample in zip(predictions, samples, strict=True)
    ]
    jobs.sort(key=lambda pair: task_of(pair[1].sample))
    if not jobs:
        return
    with ExecutionPool(workers, timeout) as pool:
        for start in range(0, len(jobs), _PIECE):
            piece = jobs[start : start + _PIECE]
            executions = pool.run([job for _, job in piece], progress)
            for (said, _), execution in zip(piece, executions, strict=True):
                yield said, execution
