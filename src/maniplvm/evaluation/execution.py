"""Execution of predicted traces in simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.scoring import read_answer
from maniplvm.simulation.provenance import is_simulated, task_of
from maniplvm.simulation.worlds import require_mujoco
from maniplvm.tasks import Sample, Task

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution

TIMEOUT = 20.0
"""Time limit of one execution [s]."""
_BATCH = 64


@dataclass(frozen=True)
class ExecutionOptions:
    """Which traces are executed in simulation, and how.

    Attributes:
        workers: Number of processes, on each node.
        splits: Only traces of these splits; None executes all possible ones.
        ray: Address of a Ray cluster; None for this machine.
    """

    workers: int = 2
    splits: tuple[str, ...] | None = None
    ray: str | None = None

    def includes(self, sample: Sample) -> bool:
        """Whether answers to this sample are executed, and the verifier can check its task."""
        from maniplvm.simulation.execution import UNRELIABLE_TASKS

        chosen = self.splits is None or sample.split in self.splits
        reliable = task_of(sample) not in UNRELIABLE_TASKS
        return chosen and reliable and can_be_executed(sample)


def can_be_executed(sample: Sample) -> bool:
    """Whether a sample asks for a trace in a scene that the simulator can rebuild."""
    return sample.task is Task.TRAJECTORY and is_simulated(sample)


def execute_answers(
    predictions: Sequence[Prediction],
    samples: Sequence[Sample],
    workers: int = 2,
    timeout: float = TIMEOUT,
    progress: Callable[[int], None] = lambda finished: None,
    ray: str | None = None,
) -> Iterator[tuple[Prediction, Execution]]:
    """Execute predicted traces; this needs the simulator, but no OpenGL.

    Args:
        predictions: B predictions.
        samples: Their B samples, all of which can be executed.
        workers: Number of processes, on each node.
        timeout: Time limit of one execution [s].
        progress: Called with the number of further finished executions.
        ray: Address of a Ray cluster; None for this machine.

    Yields:
        Each prediction with its execution. Samples of one category come together, and a caller may
        store results as they come.

    Raises:
        UserError: the simulator is missing, a sample is not simulated, a frame is invalid, or the
            cluster cannot be used.
    """
    for sample in samples:
        if not can_be_executed(sample):
            raise UserError(
                f"sample {sample.id} does not come from simulation and cannot be executed"
            )
    require_mujoco()
    from maniplvm.simulation.execution import ExecutionJob, open_execution_pool

    jobs = [
        (prediction, ExecutionJob(sample, read_answer(prediction, sample).value))
        for prediction, sample in zip(predictions, samples, strict=True)
    ]
    jobs.sort(key=lambda pair: task_of(pair[1].sample))
    if not jobs:
        return
    batch_size = _BATCH if ray is None else len(jobs)  # nodes must not wait for each other
    with open_execution_pool(workers, timeout, ray) as pool:
        for start in range(0, len(jobs), batch_size):
            batch = jobs[start : start + batch_size]
            executions = pool.run([job for _, job in batch], progress)
            for (prediction, _), execution in zip(batch, executions, strict=True):
                yield prediction, execution
