"""Several questions under way at once, few of them in memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Question = TypeVar("Question")
Outcome = TypeVar("Outcome")

_AHEAD = 2
"""Questions in memory for each thread: the one under way and the next."""


class Crew(Generic[Question, Outcome]):
    """Threads that each take a question, answer it, and take the next.

    They do not keep the process alive: an interrupted command ends at once, whatever a server
    that stalls still owes.
    """

    def __init__(self, ask: Callable[[Question], Outcome], size: int) -> None:
        """Start the threads.

        Args:
            ask: Answers one question, in any thread. What it raises comes out of `answers`.
            size: How many threads.
        """
        self._size = size
        self._ask = ask
        self._waiting: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._owed = 0
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def answers(self, questions: Iterable[Question]) -> Iterator[Outcome]:
        """Answers as they come, in any order; questions are read as threads get free."""
        for question in questions:
            self._waiting.put(question)
            self._owed += 1
            yield from self.arrived()
            while self._owed >= _AHEAD * self._size:
                yield self._next()
        yield from self.rest()

    def rest(self) -> Iterator[Outcome]:
        """Answers to all questions that were taken; waits for them."""
        while self._owed:
            yield self._next()

    def arrived(self) -> Iterator[Outcome]:
        """Answers that are there and were not taken yet; waits for none."""
        while not self._answered.empty():
            yield self._next()

    def dismiss(self) -> None:
        """Let the threads end after what they do now; questions that wait are dropped."""
        while not self._waiting.empty():
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        for _ in range(self._size):
            self._waiting.put(None)

    def _next(self) -> Outcome:
        outcome = self._answered.get()
        self._owed -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _work(self) -> None:
        while (question := self._waiting.get()) is not None:
            try:
                self._answered.put(self._ask(question))
            except BaseException as error:  # comes out where answers are read
                self._answered.put(error)
