"""The training time of a run, over all its resumptions."""

from __future__ import annotations

import time


class Clock:
    """Seconds of training; it stands still until it is started.

    Args:
        seconds: What earlier parts of the run took.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._started: float | None = None

    def start(self) -> None:
        """Start counting."""
        if self._started is None:
            self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Training time so far, earlier parts included."""
        running = 0.0 if self._started is None else time.monotonic() - self._started
        return self._before + running
