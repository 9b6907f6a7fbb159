"""Worker processes that can be lost and replaced."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maniplvm.simulation.execution.worker import Order, Ready, serve

START_SECONDS = 120.0
"""How long a worker may take to import the simulators."""
OPENING_SECONDS = 60.0
"""How long a worker may take to compile a scene that it does not hold yet."""
GRACE_SECONDS = 2.0
"""How much later than the time limit a worker may answer before it is taken for stuck."""
_SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Member:
    """One worker process, started at once.

    Attributes:
        order: What it is working on, or None.
        scene: `(world, task)` of its latest order.
        ready: Whether it has reported for duty.
    """

    def __init__(self, capacity: int) -> None:
        self.order: Order | None = None
        self.scene: tuple[str, str] | None = None
        self.ready = False
        self._deadline = time.monotonic() + START_SECONDS
        # A forked simulator shares state that it believes to own; a spawned one does not.
        context = multiprocessing.get_context("spawn")
        self.line, far_end = context.Pipe()
        self._process = context.Process(target=serve, args=(far_end, capacity), daemon=True)
        with _single_threaded():
            self._process.start()
        far_end.close()

    @property
    def seconds_left(self) -> float:
        """Until the worker counts as stuck; infinite while it has nothing to do."""
        if self.ready and self.order is None:
            return float("inf")
        return self._deadline - time.monotonic()

    def give(self, order: Order) -> None:
        """Hand over an order.

        Raises:
            OSError: the process is gone.
        """
        scene = (str(order.provenance["world"]), str(order.provenance["task"]))
        opening = 0.0 if scene == self.scene else OPENING_SECONDS
        self.order, self.scene = order, scene
        self._deadline = time.monotonic() + order.timeout + GRACE_SECONDS + opening
        self.line.send(order)

    def hear(self) -> Any:
        """The next message.

        Raises:
            EOFError, OSError: the process is gone.
        """
        message = self.line.recv()
        if isinstance(message, Ready):
            self.ready = True
        return message

    def dismiss(self) -> None:
        """End the process, whatever it is doing."""
        self.line.close()
        if self.order is None and self.ready:
            self._process.join(GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Children inherit these; a thread for each core in every worker makes all of them slow."""
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
