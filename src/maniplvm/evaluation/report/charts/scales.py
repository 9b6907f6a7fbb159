"""Scales of charts: round limits, ticks, and numbers short enough for an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        low: The value at its start.
        high: The value at its end.
        ticks: Values and their texts.
        title: What is measured, with its unit; empty where the caption says it.
        notes: Values and texts of a second line, such as counts.
        notes_title: What the second line is called.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str = ""
    notes: Sequence[tuple[float, str]] = ()
    notes_title: str = ""

    def place(self, values: ArrayLike, start: float, end: float) -> FloatArray:
        """Where values lie between two places [px]; those beyond the axis lie at its ends."""
        array = np.asarray(values, dtype=np.float64)
        span = (self.high - self.low) or 1.0
        return start + (np.clip(array, self.low, self.high) - self.low) / span * (end - start)


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5 or 5 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)


def ticks_between(low: float, high: float) -> list[float]:
    """About five round values that enclose a range."""
    step = round_up((high - low) / 4 or 1.0)
    first = math.floor(low / step + 1e-9)
    return [step * i for i in range(first, math.ceil(high / step - 1e-9) + 1)] or [low]


def axis_at(values: Sequence[float], show: Callable[[float], str], title: str = "") -> Axis:
    """An axis from the first to the last of some ticks."""
    texts = [(value, show(value)) for value in values]
    return Axis(values[0], values[-1], texts, title)


def short(value: float) -> str:
    """A number of at most about five characters."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e−").replace("e+0", "e")
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:.0f}"


def percent(value: float) -> str:
    """A share in per cent, without its sign."""
    return short(round(100 * value, 6))
