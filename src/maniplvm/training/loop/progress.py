"""Training time and the progress line that a user sees."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

QUIET_SECONDS = 30.0
"""Seconds between two progress lines when the output is not a terminal."""

_SMOOTHING = 0.1


class Clock:
    """Training time of a run, resumed parts included; it stands still until it is started.

    Args:
        seconds: Training time of the earlier parts of the run.
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


class Progress:
    """One live line on a terminal; elsewhere a plain line every `QUIET_SECONDS`.

    Args:
        console: The console to print on.
        clock: The clock of the run.
        time_limit: Training time after which the run ends [s], or None.
    """

    def __init__(self, console: Console, clock: Clock, time_limit: float | None = None) -> None:
        self._console = console
        self._clock = clock
        self._time_limit = time_limit
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._step_seconds: float | None = None
        self._last = (0, 0.0)
        self._printed = float("-inf")

    def __enter__(self) -> Progress:
        self._last = (-1, self._clock.seconds)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, line: Mapping[str, float], steps: int) -> None:
        """Show a line of the log.

        Args:
            line: A line of `log.jsonl`.
            steps: Optimizer steps of the whole run.
        """
        step, seconds = int(line["step"]), self._clock.seconds
        last_step, last_seconds = self._last
        if last_step >= 0 and step > last_step:
            latest = (seconds - last_seconds) / (step - last_step)
            average = latest if self._step_seconds is None else self._step_seconds
            self._step_seconds = average + _SMOOTHING * (latest - average)
        self._last = (step, seconds)
        text = self._text(line, step, steps, seconds)
        if self._live is not None:
            self._live.update(Text(text))
        elif time.monotonic() - self._printed >= QUIET_SECONDS or step == steps:
            self._printed = time.monotonic()
            self.print(text)

    def print(self, text: str) -> None:
        """Print a line that stays on the screen."""
        self._console.print(Text(text), soft_wrap=True)

    def _text(self, line: Mapping[str, float], step: int, steps: int, seconds: float) -> str:
        parts = [f"step {step}/{steps}"]
        for key in ("reward", "loss"):
            if key in line:
                parts.append(f"{key} {line[key]:.3f}")
                break
        if "parse_rate" in line:
            parts.append(f"parse rate {line['parse_rate']:.0%}")
        if self._step_seconds is not None:
            left = self._step_seconds * (steps - step)
            if self._time_limit is not None:
                left = min(left, max(0.0, self._time_limit - seconds))
            parts += [f"{self._step_seconds:.2f} s/step", f"{duration(left)} left"]
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """A duration for people: `45 s`, `3 min`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
