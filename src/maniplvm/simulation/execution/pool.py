"""A pool of worker processes for executions and push tests. It survives crashes and hangs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.errors import UserError
from maniplvm.simulation.execution.executor import Execution, Reason
from maniplvm.simulation.execution.push_test import PushOutcome, PushTestResult
from maniplvm.simulation.execution.worker import (
    Kind,
    WorkerError,
    WorkerProcess,
    WorkerRequest,
    WorkerResult,
    failed_outcome,
)
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.worlds.base import Closeable
from maniplvm.tasks.sample import Sample

TIMEOUT = 20.0
"""Time limit of one motion [s]. Most motions take a tenth of a second."""
_SCENES_PER_WORKER = 4
_MAX_FAILED_STARTS = 3

Progress = Callable[[int], None]
"""Called with the number of executions finished since the last call."""


@dataclass(frozen=True, eq=False)
class ExecutionJob:
    """A trace to follow.

    Attributes:
        sample: A simulated sample. Its image is not needed.
        trace: `(N, 2)` [px of the original image], or None for an invalid answer.
    """

    sample: Sample
    trace: ArrayLike | None


@dataclass(frozen=True, eq=False)
class PushTestJob:
    """A box to test.

    Attributes:
        sample: A simulated sample. Its image is not needed.
        box: `(4,)` xyxy [px of the original image], or None for an invalid answer.
    """

    sample: Sample
    box: ArrayLike | None


class ExecutionPool(Closeable):
    """Worker processes that keep their compiled scenes between batches.

    Use it as a context manager, or call `close`. Workers are spawned, so a script must create the
    pool under `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int = 2, timeout: float = TIMEOUT) -> None:
        """Start the workers.

        Args:
            workers: Number of processes.
            timeout: Time limit of one motion [s].

        Raises:
            UserError: `workers` is below 1, or `timeout` is not above 0.
        """
        if workers < 1:
            raise UserError(f"--workers must be at least 1, got {workers}")
        if not timeout > 0:
            raise UserError(f"--timeout must be above 0 seconds, got {timeout}")
        self._timeout = timeout
        self._failed_starts = 0
        self._workers = [WorkerProcess(_SCENES_PER_WORKER) for _ in range(workers)]

    def run(
        self, jobs: Sequence[ExecutionJob], progress: Progress = lambda finished: None
    ) -> list[Execution]:
        """Follow all traces.

        Args:
            jobs: Jobs in any order. Jobs of one task run together to reuse its scene.
            progress: Called with the number of executions since the last call.

        Returns:
            One execution for each job, in the order of the jobs. Invalid traces, timeouts and
            crashes are reported as such.

        Raises:
            UserError: A world cannot be opened on this machine.
            ValueError: A sample does not come from simulation.
            RuntimeError: The pool is closed. An interrupted batch closes it.
        """
        invalid = Execution(Reason.INVALID, detail="no readable answer")
        batch = _Batch("execution", len(jobs), self._timeout)
        for number, job in enumerate(jobs):
            batch.add(number, job.sample, job.trace, invalid)
        return self._run_batch(batch, progress)

    def run_push_tests(
        self, jobs: Sequence[PushTestJob], progress: Progress = lambda finished: None
    ) -> list[PushTestResult]:
        """Run the push test (`run_push_test`) for all boxes; otherwise the same as `run`."""
        batch = _Batch("push_test", len(jobs), self._timeout)
        for number, job in enumerate(jobs):
            batch.add(number, job.sample, job.box, PushTestResult(PushOutcome.NOTHING))
        return self._run_batch(batch, progress)

    def _run_batch(self, batch: _Batch, progress: Progress) -> list[Any]:
        if not self._workers:
            raise RuntimeError("the execution pool is closed")
        progress(batch.count - batch.left)
        try:
            while batch.left:
                self._advance(batch, progress)
        except BaseException:
            self.close()  # workers are still busy with this batch
            raise
        return batch.results()

    def close(self) -> None:
        """Terminate the workers."""
        while self._workers:
            self._workers.pop().terminate()

    def _advance(self, batch: _Batch, progress: Progress) -> None:
        """Submit requests, then wait for messages and handle them."""
        self._submit(batch)
        workers = {worker.connection: worker for worker in self._workers}
        timeout = max(0.0, min(worker.seconds_left for worker in self._workers))
        before = batch.left
        for connection in wait(list(workers), None if timeout == float("inf") else timeout):
            self._receive(workers[connection], batch)  # type: ignore[index]
        for worker in list(self._workers):
            if worker.seconds_left <= 0:
                self._replace(worker, batch, Reason.TIMEOUT, "the worker was stuck")
        progress(before - batch.left)

    def _submit(self, batch: _Batch) -> None:
        for worker in list(self._workers):
            if worker.ready and worker.request is None:
                busy = [other.scene for other in self._workers if other.request]
                request = batch.next_for(worker.scene, busy)
                if request is None:
                    return
                try:
                    worker.submit(request)
                except OSError:
                    self._replace(worker, batch, Reason.CRASHED, "the worker had died")

    def _receive(self, worker: WorkerProcess, batch: _Batch) -> None:
        try:
            message = worker.receive()
        except (EOFError, OSError):
            self._replace(worker, batch, Reason.CRASHED, "the worker died")
            return
        if isinstance(message, WorkerResult):
            self._failed_starts = 0
            worker.request = None
            batch.finish(message.number, message.outcome)
        elif isinstance(message, WorkerError):
            raise UserError(message.message)

    def _replace(self, worker: WorkerProcess, batch: _Batch, reason: Reason, detail: str) -> None:
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise UserError(
                    "execution workers end before they start; create the pool under "
                    '`if __name__ == "__main__":` in a script'
                )
        if worker.request is not None:
            batch.finish(worker.request.number, failed_outcome(batch.kind, reason, detail))
        worker.terminate()
        self._workers[self._workers.index(worker)] = WorkerProcess(_SCENES_PER_WORKER)


def execute_batch(
    jobs: Sequence[ExecutionJob],
    workers: int = 2,
    timeout: float = TIMEOUT,
    progress: Progress = lambda finished: None,
) -> list[Execution]:
    """Run one batch in a new pool; see `ExecutionPool.run`."""
    with ExecutionPool(workers, timeout) as pool:
        return pool.run(jobs, progress)


class _Batch:
    """Pending requests by scene, and the results so far."""

    def __init__(self, kind: Kind, count: int, timeout: float) -> None:
        self._results: list[Execution | PushTestResult | None] = [None] * count
        self._pending: dict[tuple[str, str], deque[WorkerRequest]] = {}
        self._timeout = timeout
        self.kind: Kind = kind
        self.count = self.left = count

    def add(
        self,
        number: int,
        sample: Sample,
        answer: ArrayLike | None,
        invalid: Execution | PushTestResult,
    ) -> None:
        """Add a request. Without an answer it is finished at once.

        Raises:
            ValueError: The sample does not come from simulation.
        """
        reference = Provenance.from_json(sample.provenance)
        if answer is None:
            self.finish(number, invalid)
            return
        request = WorkerRequest(number, sample.provenance, _plain(answer), self._timeout, self.kind)
        self._pending.setdefault((reference.world, reference.task), deque()).append(request)

    def next_for(
        self, held: tuple[str, str] | None, busy: Sequence[tuple[str, str] | None]
    ) -> WorkerRequest | None:
        """The best request for a worker: of its own scene, else of a scene without a worker."""
        if not self._pending:
            return None

        def preference(scene: tuple[str, str]) -> tuple[bool, bool, int]:
            return scene == held, scene not in busy, len(self._pending[scene])

        scene = max(self._pending, key=preference)
        request = self._pending[scene].popleft()
        if not self._pending[scene]:
            del self._pending[scene]
        return request

    def finish(self, number: int, outcome: Execution | PushTestResult) -> None:
        """Store a result."""
        self._results[number] = outcome
        self.left -= 1

    def results(self) -> list[Any]:
        """All results, in the order of the jobs."""
        return [result for result in self._results if result is not None]


def _plain(answer: ArrayLike) -> Any:
    return np.asarray(answer).tolist() if isinstance(answer, np.ndarray) else answer
