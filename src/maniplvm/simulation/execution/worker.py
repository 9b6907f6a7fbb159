"""Worker processes of the execution pool, which can be terminated and replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from maniplvm.errors import UserError
from maniplvm.simulation.execution.executor import (
    Execution,
    Reason,
    SceneCache,
    follow_trace,
)
from maniplvm.simulation.execution.push_test import PushOutcome, PushTestResult, run_push_test
from maniplvm.simulation.provenance import Provenance

START_SECONDS = 120.0
"""Time limit for a worker to import the simulators [s]."""
OPENING_SECONDS = 60.0
"""Extra time for a worker to compile a new scene [s]."""
GRACE_SECONDS = 2.0
"""Extra time after the time limit before a worker counts as stuck [s]."""
_SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Kind = Literal["execution", "push_test"]


@dataclass(frozen=True)
class WorkerRequest:
    """A request to follow one trace or to run one push test.

    Attributes:
        number: Number of the request. The result repeats it.
        provenance: Provenance of the sample, as plain data.
        answer: `(N, 2)` trace or `(4,)` box [px], as lists.
        timeout: Time limit of the motion [s].
        kind: Kind of the request.
    """

    number: int
    provenance: Mapping[str, Any]
    answer: Any
    timeout: float
    kind: Kind = "execution"


@dataclass(frozen=True)
class WorkerReady:
    """The worker has imported its packages."""


@dataclass(frozen=True)
class WorkerResult:
    """The result of a request."""

    number: int
    outcome: Execution | PushTestResult


@dataclass(frozen=True)
class WorkerError:
    """The machine cannot handle this request or similar ones."""

    message: str


def serve(requests: Connection, capacity: int) -> None:
    """Handle requests until the other side closes the connection.

    Args:
        requests: Receives `WorkerRequest`. Sends `WorkerReady` once, then one `WorkerResult` or
            `WorkerError` for each request.
        capacity: Number of compiled scenes to keep.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles it
    with SceneCache(capacity) as scenes:
        requests.send(WorkerReady())
        while True:
            try:
                request = requests.recv()
            except EOFError:
                return
            requests.send(_handle(request, scenes))


def _handle(request: WorkerRequest, scenes: SceneCache) -> WorkerResult | WorkerError:
    run = run_push_test if request.kind == "push_test" else follow_trace
    try:
        reference = Provenance.from_json(request.provenance)
        outcome = run(reference, request.answer, scenes, request.timeout)
    except UserError as error:
        return WorkerError(str(error))
    except Exception as error:  # a simulator can fail in any way, and the batch must continue
        scenes.close()
        detail = f"{type(error).__name__}: {error}"
        outcome = failed_outcome(request.kind, Reason.CRASHED, detail)
    return WorkerResult(request.number, outcome)


def failed_outcome(kind: Kind, reason: Reason, detail: str) -> Execution | PushTestResult:
    """The outcome of a request without a result."""
    if kind == "push_test":
        return PushTestResult(PushOutcome(reason.value))
    return Execution(reason, detail=detail)


class WorkerProcess:
    """One worker process, started by the constructor.

    Attributes:
        request: The current request, or None.
        scene: `(world, task)` of the latest request.
        ready: Whether the worker has started.
        connection: Connection to the process.
    """

    def __init__(self, capacity: int) -> None:
        self.request: WorkerRequest | None = None
        self.scene: tuple[str, str] | None = None
        self.ready = False
        self._deadline = time.monotonic() + START_SECONDS
        # A forked simulator shares state with its parent, a spawned one does not.
        context = multiprocessing.get_context("spawn")
        self.connection, child_connection = context.Pipe()
        self._process = context.Process(
            target=serve, args=(child_connection, capacity), daemon=True
        )
        with _single_threaded():
            self._process.start()
        child_connection.close()

    @property
    def seconds_left(self) -> float:
        """Time until the worker counts as stuck [s]; infinite for an idle worker."""
        if self.ready and self.request is None:
            return float("inf")
        return self._deadline - time.monotonic()

    def submit(self, request: WorkerRequest) -> None:
        """Send a request.

        Raises:
            OSError: The process has ended.
        """
        scene = (str(request.provenance["world"]), str(request.provenance["task"]))
        opening = 0.0 if scene == self.scene else OPENING_SECONDS
        self.request, self.scene = request, scene
        self._deadline = time.monotonic() + request.timeout + GRACE_SECONDS + opening
        self.connection.send(request)

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError, OSError: The process has ended.
        """
        message = self.connection.recv()
        if isinstance(message, WorkerReady):
            self.ready = True
        return message

    def terminate(self) -> None:
        """End the process, even if it is busy."""
        self.connection.close()
        if self.request is None and self.ready:
            self._process.join(GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limit child processes to one thread each. More threads than cores slow all workers down."""
    before = {name: os.environ.get(name) for name in _SINGLE_THREAD}
    os.environ.update(dict.fromkeys(_SINGLE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
