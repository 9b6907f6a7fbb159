"""A pool of threads that handles requests concurrently, with few of them in memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")

_PER_THREAD = 2
"""Requests in memory for each thread: the current one and the next one."""


class WorkerPool(Generic[Request, Result]):
    """Threads that handle requests one after the other.

    They are daemon threads, so an interrupted command ends without waiting for the server.
    """

    def __init__(self, handle: Callable[[Request], Result], size: int) -> None:
        """Start the threads.

        Args:
            handle: Handles one request, in any thread. `map` raises what it raises.
            size: The number of threads.
        """
        self._size = size
        self._handle = handle
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
        self._pending = 0
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Results as they arrive, in any order; requests are read when threads are free."""
        for request in requests:
            self._requests.put(request)
            self._pending += 1
            yield from self.ready()
            while self._pending >= _PER_THREAD * self._size:
                yield self._next()
        yield from self.drain()

    def drain(self) -> Iterator[Result]:
        """The results of all pending requests; waits for them."""
        while self._pending:
            yield self._next()

    def ready(self) -> Iterator[Result]:
        """The results that have arrived; waits for none."""
        while not self._results.empty():
            yield self._next()

    def shutdown(self) -> None:
        """Drop queued requests; each thread ends after its current one."""
        while not self._requests.empty():
            try:
                self._requests.get_nowait()
            except queue.Empty:
                break
        for _ in range(self._size):
            self._requests.put(None)

    def _next(self) -> Result:
        result = self._results.get()
        self._pending -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                self._results.put(self._handle(request))
            except BaseException as error:  # raised again where results are read
                self._results.put(error)
