"""Traces and boxes by the thousand: a pool of workers that no bad answer can stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.errors import UserError
from maniplvm.simulation.closing import Closing
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.execution.push_test import Contact, Touch
from maniplvm.simulation.execution.worker import Done, Order, Refused, lost
from maniplvm.simulation.execution.worker_process import Member
from maniplvm.simulation.provenance import Provenance
from maniplvm.tasks.sample import Sample

TIMEOUT = 20.0
"""Most seconds for one motion; an ordinary one takes a tenth of a second."""
_SCENES_EACH = 4
_STARTS = 3

Progress = Callable[[int], None]
"""Called with the number of executions finished since the last call."""


@dataclass(frozen=True, eq=False)
class Job:
    """A trace for a sample.

    Attributes:
        sample: A simulated sample; its image is not needed.
        trace: `(N, 2)` [px of the original image], or None where there is no readable answer.
    """

    sample: Sample
    trace: ArrayLike | None


@dataclass(frozen=True, eq=False)
class TouchJob:
    """A box for a sample.

    Attributes:
        sample: A simulated sample; its image is not needed.
        box: `(4,)` xyxy [px of the original image], or None where there is no readable answer.
    """

    sample: Sample
    box: ArrayLike | None


class ExecutionPool(Closing):
    """Worker processes that follow traces, touch boxes, and keep their compiled scenes between batches.

    Use it as a context manager, or call `close`. Workers are spawned, so a script that makes a
    pool must do so under `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int = 2, timeout: float = TIMEOUT) -> None:
        """Start the workers.

        Args:
            workers: Processes.
            timeout: Most seconds for one motion.

        Raises:
            UserError: not at least one worker and a time limit above zero.
        """
        if workers < 1:
            raise UserError(f"--workers must be at least 1, got {workers}")
        if not timeout > 0:
            raise UserError(f"--timeout must be above 0 seconds, got {timeout}")
        self._timeout = timeout
        self._failed_starts = 0
        self._members = [Member(_SCENES_EACH) for _ in range(workers)]

    def run(
        self, jobs: Sequence[Job], progress: Progress = lambda finished: None
    ) -> list[Execution]:
        """Follow all traces.

        Args:
            jobs: In any order; those of one task are done together, so that its scene is reused.
            progress: Told about every execution.

        Returns:
            One execution for each job, in the jobs' order. A trace that cannot be followed, runs
            out of time or takes its worker down is reported as such.

        Raises:
            UserError: a world cannot be opened on this machine.
            ValueError: a sample does not come from simulation.
            RuntimeError: the pool is closed; a batch that was interrupted closes it.
        """
        unread = Execution(Reason.INVALID, detail="no readable answer")
        batch = _Batch("follow", len(jobs), self._timeout)
        for number, job in enumerate(jobs):
            batch.add(number, job.sample, job.trace, unread)
        return self._work(batch, progress)

    def touch(
        self, jobs: Sequence[TouchJob], progress: Progress = lambda finished: None
    ) -> list[Touch]:
        """Touch the centres of all boxes; see `touch_box`, else as `run`."""
        batch = _Batch("touch", len(jobs), self._timeout)
        for number, job in enumerate(jobs):
            batch.add(number, job.sample, job.box, Touch(Contact.NOTHING))
        return self._work(batch, progress)

    def _work(self, batch: _Batch, progress: Progress) -> list[Any]:
        if not self._members:
            raise RuntimeError("execution pool: it is closed")
        progress(batch.count - batch.left)
        try:
            while batch.left:
                self._advance(batch, progress)
        except BaseException:
            self.close()  # workers are still busy with orders that nobody waits for
            raise
        return batch.results()

    def close(self) -> None:
        """End the workers."""
        while self._members:
            self._members.pop().dismiss()

    def _advance(self, batch: _Batch, progress: Progress) -> None:
        """Hand out what can be, wait for news, and deal with it."""
        self._hand_out(batch)
        lines = {member.line: member for member in self._members}
        patience = max(0.0, min(member.seconds_left for member in self._members))
        before = batch.left
        for line in wait(list(lines), None if patience == float("inf") else patience):
            self._listen(lines[line], batch)  # type: ignore[index]
        for member in list(self._members):
            if member.seconds_left <= 0:
                self._replace(member, batch, Reason.TIMEOUT, "the worker was stuck")
        progress(before - batch.left)

    def _hand_out(self, batch: _Batch) -> None:
        for member in list(self._members):
            if member.ready and member.order is None:
                order = batch.next_for(member.scene, [m.scene for m in self._members if m.order])
                if order is None:
                    return
                try:
                    member.give(order)
                except OSError:
                    self._replace(member, batch, Reason.CRASHED, "the worker had died")

    def _listen(self, member: Member, batch: _Batch) -> None:
        try:
            message = member.hear()
        except (EOFError, OSError):
            self._replace(member, batch, Reason.CRASHED, "the worker died")
            return
        if isinstance(message, Done):
            self._failed_starts = 0
            member.order = None
            batch.finish(message.number, message.outcome)
        elif isinstance(message, Refused):
            raise UserError(message.message)

    def _replace(self, member: Member, batch: _Batch, reason: Reason, detail: str) -> None:
        if not member.ready:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise UserError(
                    "execution workers end before they start; a script that makes a pool must do "
                    'so under `if __name__ == "__main__":`'
                )
        if member.order is not None:
            batch.finish(member.order.number, lost(batch.kind, reason, detail))
        member.dismiss()
        self._members[self._members.index(member)] = Member(_SCENES_EACH)


def execute_batch(
    jobs: Sequence[Job],
    workers: int = 2,
    timeout: float = TIMEOUT,
    progress: Progress = lambda finished: None,
) -> list[Execution]:
    """One batch in a pool of its own; see `ExecutionPool.run`."""
    with ExecutionPool(workers, timeout) as pool:
        return pool.run(jobs, progress)


class _Batch:
    """Orders by scene, and the answers so far."""

    def __init__(self, kind: Literal["follow", "touch"], count: int, timeout: float) -> None:
        self._results: list[Execution | Touch | None] = [None] * count
        self._waiting: dict[tuple[str, str], deque[Order]] = {}
        self._timeout = timeout
        self.kind: Literal["follow", "touch"] = kind
        self.count = self.left = count

    def add(
        self, number: int, sample: Sample, answer: ArrayLike | None, unread: Execution | Touch
    ) -> None:
        """Add an order; one without an answer is finished at once.

        Raises:
            ValueError: the sample does not come from simulation.
        """
        reference = Provenance.from_json(sample.provenance)
        if answer is None:
            self.finish(number, unread)
            return
        order = Order(number, sample.provenance, _plain(answer), self._timeout, self.kind)
        self._waiting.setdefault((reference.world, reference.task), deque()).append(order)

    def next_for(
        self, held: tuple[str, str] | None, busy: Sequence[tuple[str, str] | None]
    ) -> Order | None:
        """The best order for a worker: its own scene, else one that nobody works on."""
        if not self._waiting:
            return None

        def preference(scene: tuple[str, str]) -> tuple[bool, bool, int]:
            return scene == held, scene not in busy, len(self._waiting[scene])

        scene = max(self._waiting, key=preference)
        order = self._waiting[scene].popleft()
        if not self._waiting[scene]:
            del self._waiting[scene]
        return order

    def finish(self, number: int, outcome: Execution | Touch) -> None:
        """Note an answer."""
        self._results[number] = outcome
        self.left -= 1

    def results(self) -> list[Any]:
        """All answers, in the order of the jobs."""
        return [result for result in self._results if result is not None]


def _plain(answer: ArrayLike) -> Any:
    return np.asarray(answer).tolist() if isinstance(answer, np.ndarray) else answer
