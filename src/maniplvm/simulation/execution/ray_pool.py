"""Executions and push tests on all nodes of a Ray cluster: an execution pool on each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from maniplvm.cluster import Limits, NodePool
from maniplvm.errors import UserError
from maniplvm.simulation.execution.executor import Execution
from maniplvm.simulation.execution.pool import (
    TIMEOUT,
    ExecutionJob,
    ExecutionPool,
    Progress,
    PushTestJob,
)
from maniplvm.simulation.execution.push_test import PushTestResult
from maniplvm.simulation.execution.worker import OPENING_SECONDS, START_SECONDS
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.worlds.base import Closeable

PACKAGES = ("mujoco", "metaworld", "robosuite", "numpy")
"""Packages that decide the outcome of an execution; all nodes must have the same versions."""
_CHUNKS_PER_NODE = 4
_MAX_JOBS_PER_WORKER = 8


@dataclass(frozen=True, eq=False)
class _Chunk:
    kind: Literal["execution", "push_test"]
    jobs: Sequence[Any]


class PoolRunner:
    """The execution pool of one node."""

    def __init__(self, workers: int, timeout: float) -> None:
        self._open = partial(ExecutionPool, workers, timeout)
        self._pool = self._open()

    def run(self, chunk: _Chunk) -> list[Any]:
        """Run the jobs of a chunk.

        Raises:
            UserError: A world cannot be opened on this node.
        """
        try:
            if chunk.kind == "push_test":
                return self._pool.run_push_tests(chunk.jobs)
            return self._pool.run(chunk.jobs)
        except BaseException:
            self._pool = self._open()  # an interrupted batch closes its pool
            raise


class RayExecutionPool(Closeable):
    """Same interface and results as `ExecutionPool`, on all nodes of a cluster.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, address: str, workers: int = 2, timeout: float = TIMEOUT) -> None:
        """Connect to the cluster.

        Args:
            address: `HOST:PORT` of the head node, or `auto`.
            workers: Number of processes on each node.
            timeout: Time limit of one motion [s].

        Raises:
            UserError: Ray is not installed, no cluster answers, or a number is out of range.
        """
        if not timeout > 0:
            raise UserError(f"--timeout must be above 0 seconds, got {timeout}")
        longest = START_SECONDS + _MAX_JOBS_PER_WORKER * workers * (timeout + OPENING_SECONDS)
        self._workers = workers
        self._pool: NodePool[_Chunk, list[Any]] | None = NodePool(
            address,
            partial(PoolRunner, workers, timeout),
            workers=workers,
            packages=PACKAGES,
            limits=Limits(chunk=longest),
        )

    def run(
        self, jobs: Sequence[ExecutionJob], progress: Progress = lambda finished: None
    ) -> list[Execution]:
        """Follow all traces; see `ExecutionPool.run`."""
        return self._run("execution", jobs, progress)

    def run_push_tests(
        self, jobs: Sequence[PushTestJob], progress: Progress = lambda finished: None
    ) -> list[PushTestResult]:
        """Run the push test for all boxes; see `ExecutionPool.run_push_tests`."""
        return self._run("push_test", jobs, progress)

    def close(self) -> None:
        """End the pools of all nodes, and disconnect."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _run(
        self, kind: Literal["execution", "push_test"], jobs: Sequence[Any], progress: Progress
    ) -> list[Any]:
        if self._pool is None:
            raise RuntimeError("the execution pool is closed")
        # Jobs of one task stay together: a node compiles its scene once.
        order = sorted(range(len(jobs)), key=lambda number: _scene(jobs[number]))
        size = self._chunk_size(len(jobs), self._pool.count_nodes())
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        chunks = [_Chunk(kind, [_without_image(jobs[number]) for number in part]) for part in parts]
        results: list[Any] = [None] * len(jobs)
        try:
            for index, outcomes in self._pool.run(chunks):
                for number, outcome in zip(parts[index], outcomes, strict=True):
                    results[number] = outcome
                progress(len(outcomes))
        except BaseException:
            self.close()  # nodes are still busy with this batch
            raise
        return results

    def _chunk_size(self, jobs: int, nodes: int) -> int:
        """Jobs of a chunk: some chunks a node, so that no node waits long for another."""
        even = -(-jobs // (max(1, nodes) * _CHUNKS_PER_NODE))
        return max(self._workers, min(even, _MAX_JOBS_PER_WORKER * self._workers))


def open_execution_pool(
    workers: int = 2, timeout: float = TIMEOUT, ray: str | None = None
) -> ExecutionPool | RayExecutionPool:
    """A pool on this machine, or on all nodes of a Ray cluster.

    Args:
        workers: Number of processes, on each node.
        timeout: Time limit of one motion [s].
        ray: Address of the cluster; None for this machine.

    Raises:
        UserError: A number is out of range, Ray is not installed, or no cluster answers.
    """
    if ray is None:
        return ExecutionPool(workers, timeout)
    return RayExecutionPool(ray, workers, timeout)


def _scene(job: ExecutionJob | PushTestJob) -> tuple[str, str]:
    reference = Provenance.from_json(job.sample.provenance)
    return reference.world, reference.task


def _without_image(job: Any) -> Any:
    return replace(job, sample=replace(job.sample, image=None))
