"""What a person sees of a run while it trains."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from maniplvm.training.loop.clock import Clock

QUIET_SECONDS = 30.0
"""Between two lines where no terminal shows a live one."""

_SMOOTHING = 0.1


class Progress:
    """One live line on a terminal; elsewhere a plain line every so many seconds.

    Args:
        console: Where to.
        clock: Of the run.
        time_limit: Training time at which the run ends [s], or None.
    """

    def __init__(self, console: Console, clock: Clock, time_limit: float | None = None) -> None:
        self._console = console
        self._clock = clock
        self._time_limit = time_limit
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._pace: float | None = None
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
            line: Of `log.jsonl`.
            steps: Of the whole run.
        """
        step, seconds = int(line["step"]), self._clock.seconds
        before, then = self._last
        if before >= 0 and step > before:
            pace = (seconds - then) / (step - before)
            known = pace if self._pace is None else self._pace
            self._pace = known + _SMOOTHING * (pace - known)
        self._last = (step, seconds)
        text = self._text(line, step, steps, seconds)
        if self._live is not None:
            self._live.update(Text(text))
        elif time.monotonic() - self._printed >= QUIET_SECONDS or step == steps:
            self._printed = time.monotonic()
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def _text(self, line: Mapping[str, float], step: int, steps: int, seconds: float) -> str:
        parts = [f"step {step}/{steps}"]
        for key in ("reward", "loss"):
            if key in line:
                parts.append(f"{key} {line[key]:.3f}")
                break
        if "parse_rate" in line:
            parts.append(f"parsed {line['parse_rate']:.0%}")
        if self._pace is not None:
            left = self._pace * (steps - step)
            if self._time_limit is not None:
                left = min(left, max(0.0, self._time_limit - seconds))
            parts += [f"{self._pace:.2f} s a step", f"{duration(left)} left"]
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """A time as a person says it: `45 s`, `3 min`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
