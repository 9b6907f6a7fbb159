"""One actor on each node of a Ray cluster, and chunks of work for them.

Nodes may join and leave at any time. A chunk whose node is lost runs again on another node. Every
wait has a limit. Ray transports Python objects between processes as pickles, so all machines of the
cluster must be trusted.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from maniplvm.cluster.connection import Connection, ray
from maniplvm.errors import UserError
from maniplvm.process import package_versions

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
Chunk_contra = TypeVar("Chunk_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

_POLL_SECONDS = 1.0


class Runner(Protocol[Chunk_contra, Result_co]):
    """What an actor runs. It is created on the node, and ends with the actor's process."""

    def run(self, chunk: Chunk_contra, /) -> Result_co:
        """Run one chunk; called from several threads if `parallel` is above 1.

        Raises:
            UserError: The work itself cannot be done. It ends the whole run.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """Time limits and attempts.

    Attributes:
        start: An actor must have started after this time [s].
        chunk: A chunk must be finished after this time [s].
        no_node: The run ends if no node was usable for this time [s].
        attempts: A chunk may be lost this many times less one.
        starts: A node is not used any more after this many failed actors in succession.
    """

    start: float = 180.0
    chunk: float = 3600.0
    no_node: float = 300.0
    attempts: int = 4
    starts: int = 3


@dataclass(frozen=True)
class _Failed:
    message: str


class _NodeActor(Generic[Chunk, Result]):
    """Runs chunks in its own process on a node."""

    def __init__(self, create: Callable[[], Runner[Chunk, Result]]) -> None:
        self._runner = create()

    def versions(self, packages: Sequence[str]) -> dict[str, str]:
        return package_versions(packages)

    def run(self, chunk: Chunk) -> Result | _Failed:
        try:
            return self._runner.run(chunk)
        except UserError as error:
            return _Failed(str(error))


@dataclass(eq=False)
class _Node:
    """An actor, and what it is doing."""

    node_id: str
    name: str
    actor: Any
    starting: Any | None
    deadline: float
    running: int = 0


@dataclass(eq=False)
class _Running:
    number: int
    node: _Node
    deadline: float


class NodePool(Generic[Chunk, Result]):
    """An actor on each node of a cluster. Use it as a context manager.

    Args:
        address: See `Connection`.
        create: Creates the runner of a node. It must be picklable.
        workers: CPUs of each node that its actor uses.
        parallel: Chunks that a node runs at the same time.
        packages: Packages whose versions must be the same on all nodes as on this one.
        limits: Time limits and attempts.
        report: Called with a line when a node is lost or cannot be used.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """

    def __init__(
        self,
        address: str,
        create: Callable[[], Runner[Chunk, Result]],
        *,
        workers: int,
        parallel: int = 1,
        packages: Sequence[str] = (),
        limits: Limits | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        if workers < 1:
            raise UserError(f"--workers must be at least 1, got {workers}")
        self._connection = Connection(address)
        self._address = address
        self._create = create
        self._workers = workers
        self._parallel = parallel
        self._packages = tuple(packages)
        self._versions = package_versions(self._packages)
        self._limits = limits or Limits()
        self._report = report
        self._nodes: dict[str, _Node] = {}
        self._failures: Counter[str] = Counter()
        self._last_problem = ""
        self._usable_at = time.monotonic()

    def __enter__(self) -> NodePool[Chunk, Result]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the actors, and disconnect."""
        for node in list(self._nodes.values()):
            self._drop(node)
        self._connection.close()

    def count_nodes(self) -> int:
        """Number of nodes of the cluster that are alive now."""
        return len(self._alive())

    def run(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, Result]]:
        """Run all chunks.

        Args:
            chunks: Independent pieces of work. They must be picklable.

        Yields:
            The number of each finished chunk with its result, in the order in which they finish.

        Raises:
            UserError: A runner refused its work, a chunk was lost too often, or no node was usable
                for too long.
        """
        pending = deque(range(len(chunks)))
        losses: Counter[int] = Counter()
        running: dict[Any, _Running] = {}
        self._usable_at = time.monotonic()
        while pending or running:
            self._refresh()
            self._submit(chunks, pending, running)
            for reference in self._finished(running):
                own = running.pop(reference)
                own.node.running -= 1
                try:
                    result = ray().get(reference)
                except ray().exceptions.RayError as error:
                    self._lose(own, error, running, pending, losses)
                    continue
                if isinstance(result, _Failed):
                    raise UserError(result.message)
                self._failures[own.node.node_id] = 0
                yield own.number, result
            self._drop_overdue(running, pending, losses)
            self._check_usable()

    def _alive(self) -> dict[str, dict[str, Any]]:
        return {node["NodeID"]: node for node in ray().nodes() if node["Alive"]}

    def _refresh(self) -> None:
        """Start actors on new nodes, and notice started ones and nodes that have left."""
        now = time.monotonic()
        alive = self._alive()
        for node_id, node in alive.items():
            if node_id not in self._nodes and self._failures[node_id] < self._limits.starts:
                cpus = int(node["Resources"].get("CPU", 0))
                if cpus >= 1:
                    self._start(node_id, node["NodeManagerAddress"], min(self._workers, cpus))
        for node in list(self._nodes.values()):
            if node.starting is None:
                self._usable_at = now
            elif ray().wait([node.starting], timeout=0)[0]:
                self._finish_start(node)
            elif now > node.deadline:
                self._fail(node, f"its CPUs were not free for {self._limits.start:g} s")

    def _start(self, node_id: str, name: str, cpus: int) -> None:
        strategy = ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy
        actor = (
            ray()
            .remote(_NodeActor)
            .options(
                num_cpus=cpus,
                max_concurrency=self._parallel,
                scheduling_strategy=strategy(node_id, soft=False),
            )
            .remote(self._create)
        )
        starting = actor.versions.remote(self._packages)
        deadline = time.monotonic() + self._limits.start
        self._nodes[node_id] = _Node(node_id, name, actor, starting, deadline)

    def _finish_start(self, node: _Node) -> None:
        try:
            versions = ray().get(node.starting)
        except ray().exceptions.RayError as error:
            self._fail(node, _first_line(error))
            return
        other = [
            f"{name} {versions.get(name, 'missing')} (here {own})"
            for name, own in self._versions.items()
            if versions.get(name) != own
        ]
        if other:
            self._failures[node.node_id] = self._limits.starts
            self._fail(node, f"it has other versions: {', '.join(other)}")
            return
        node.starting = None
        self._usable_at = time.monotonic()

    def _submit(
        self, chunks: Sequence[Chunk], pending: deque[int], running: dict[Any, _Running]
    ) -> None:
        deadline = time.monotonic() + self._limits.chunk
        while pending:
            ready = [node for node in self._nodes.values() if node.starting is None]
            node = min(ready, key=lambda each: each.running, default=None)
            if node is None or node.running >= self._parallel:
                return
            number = pending.popleft()
            node.running += 1
            running[node.actor.run.remote(chunks[number])] = _Running(number, node, deadline)

    def _finished(self, running: dict[Any, _Running]) -> list[Any]:
        if not running:
            time.sleep(_POLL_SECONDS / 10)
            return []
        starting = any(node.starting is not None for node in self._nodes.values())
        seconds = _POLL_SECONDS / 10 if starting else _POLL_SECONDS
        return (
            ray().wait(list(running), num_returns=len(running), timeout=0)[0]
            or (ray().wait(list(running), num_returns=1, timeout=seconds)[0])
        )

    def _drop_overdue(
        self, running: dict[Any, _Running], pending: deque[int], losses: Counter[int]
    ) -> None:
        now = time.monotonic()
        for reference, own in list(running.items()):
            if reference in running and now > own.deadline:
                del running[reference]
                message = f"a chunk took more than {self._limits.chunk:g} s"
                self._lose(own, TimeoutError(message), running, pending, losses)

    def _lose(
        self,
        own: _Running,
        error: Exception,
        running: dict[Any, _Running],
        pending: deque[int],
        losses: Counter[int],
    ) -> None:
        """Put back the chunk, and all others of its node, whose actor is replaced.

        Only the chunk whose own error it is counts as lost: the others may be innocent.
        """
        self._fail(own.node, _first_line(error))
        others = [ref for ref, other in running.items() if other.node is own.node]
        again = [own.number, *(running.pop(reference).number for reference in others)]
        pending.extendleft(reversed(again))
        losses[own.number] += 1
        if losses[own.number] >= self._limits.attempts:
            raise UserError(
                f"--ray {self._address}: a chunk of work was lost {losses[own.number]} times "
                f"({_first_line(error)}); run the same command again to resume"
            ) from error

    def _fail(self, node: _Node, problem: str) -> None:
        self._failures[node.node_id] += 1
        self._last_problem = f"node {node.name}: {problem}"
        ended = self._failures[node.node_id] >= self._limits.starts
        self._report(self._last_problem + ("; it is not used any more" if ended else ""))
        self._drop(node)

    def _drop(self, node: _Node) -> None:
        self._nodes.pop(node.node_id, None)
        ray().kill(node.actor)

    def _check_usable(self) -> None:
        alive = self._alive()
        excluded = bool(alive) and all(self._failures[i] >= self._limits.starts for i in alive)
        silent = time.monotonic() - self._usable_at > self._limits.no_node
        if excluded or silent:
            detail = self._last_problem or "it has no node with a free CPU"
            raise UserError(
                f"--ray {self._address}: no node can be used ({detail}); run the same command "
                "again to resume when the cluster is well"
            )


def _first_line(error: Exception) -> str:
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):  # Ray's error holds that of the runner
        error = cause
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
