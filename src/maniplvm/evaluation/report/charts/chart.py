"""Charts with two axes, as inline SVG, with their axes and tick labels.

Colours come from classes (`before`, `after`, `c0`, `s0`, ...), so light and dark pages differ only in
their styles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from maniplvm.evaluation.report.html import tag
from maniplvm.geometry.arrays import FloatArray

WIDTH = 360
_LEFT, _RIGHT, _LINE = 46, 14, 17


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        ticks: Values and labels of the ticks.
        title: Title of the axis with unit, or empty.
        notes: Values and ticks of a second line of labels, such as counts.
        notes_title: Title of the second line.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str = ""
    notes: Sequence[tuple[float, str]] = ()
    notes_title: str = ""

    def position(self, values: ArrayLike, start: float, end: float) -> FloatArray:
        """Map values to positions between `start` and `end`. Values are clipped to the axis."""
        array = np.asarray(values, dtype=np.float64)
        span = (self.high - self.low) or 1.0
        return start + (np.clip(array, self.low, self.high) - self.low) / span * (end - start)


class Chart:
    """A chart with two axes. Add marks with the methods, then call `to_svg`."""

    def __init__(self, x: Axis, y: Axis, label: str, *, height: float = 150) -> None:
        """Draw the axes.

        Args:
            x: The horizontal axis.
            y: The vertical axis.
            label: Text for screen readers.
            height: Height of the plot area [SVG units].
        """
        self._x, self._y = x, y
        self._top = 9 + _LINE * bool(y.title)
        self._bottom = self._top + height
        self._height = self._bottom + _LINE * (1.15 + bool(x.notes) + bool(x.title))
        self._parts: list[Markup] = [tag("title", label), *self._frame()]

    def line(self, points: FloatArray, series: str) -> None:
        """Draw a line through points `(N, 2)` in axis units."""
        x, y = self._across(points[:, 0]), self._up(points[:, 1])
        self._parts.append(
            tag("polyline", points=svg_points(np.column_stack([x, y])), class_=series)
        )

    def mark(self, x: float, y: float, series: str, *, shift: float = 0.0) -> None:
        """Draw the marker of a series. `shift` moves it horizontally [SVG units]."""
        self._parts.append(mark_at(float(self._across(x)) + shift, float(self._up(y)), series))

    def whisker(self, x: float, low: float, high: float, series: str, shift: float = 0.0) -> None:
        """Draw a vertical interval."""
        across = float(self._across(x)) + shift
        ends = {"y1": float(self._up(low)), "y2": float(self._up(high))}
        self._parts.append(tag("line", x1=across, x2=across, **ends, class_=f"span {series}"))

    def guide(self, x: float, text: str) -> None:
        """Draw a dotted vertical line with a label above the plot area."""
        across = float(self._across(x))
        self._parts += [
            tag("line", x1=across, x2=across, y1=self._top - 8, y2=self._bottom, class_="zero"),
            tag("text", text, x=across, y=12, text_anchor="middle"),
        ]

    def to_svg(self) -> Markup:
        """The chart as SVG."""
        box = f"0 0 {WIDTH} {self._height:.0f}"
        return tag("svg", *self._parts, class_="curve", role="img", viewBox=box)

    def _across(self, values: FloatArray | float) -> FloatArray:
        return self._x.position(values, _LEFT, WIDTH - _RIGHT)

    def _up(self, values: FloatArray | float) -> FloatArray:
        return self._y.position(values, self._bottom, self._top)

    def _frame(self) -> list[Markup]:
        parts: list[Markup] = []
        right, below = WIDTH - _RIGHT, self._bottom + _LINE
        for value, text in self._y.ticks:
            y = float(self._up(value))
            parts.append(tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(tag("text", text, x=_LEFT - 7, y=y + 4, text_anchor="end"))
        for value, text in self._x.ticks:
            if self._x.low <= value <= self._x.high:
                x = float(self._across(value))
                parts.append(
                    tag("line", x1=x, x2=x, y1=self._bottom, y2=self._bottom + 4, class_="grid")
                )
                parts.append(tag("text", text, x=x, y=below, text_anchor="middle"))
        for value, text in self._x.notes:
            x = float(self._across(value))
            parts.append(tag("text", text, x=x, y=below + _LINE - 2, text_anchor="middle"))
        if self._x.notes_title:
            y = below + _LINE - 2
            parts.append(tag("text", self._x.notes_title, x=_LEFT - 7, y=y, text_anchor="end"))
        if self._x.title:
            middle, y = (_LEFT + right) / 2, below + _LINE * (1 + bool(self._x.notes)) - 1
            parts.append(tag("text", self._x.title, x=middle, y=y, text_anchor="middle"))
        if self._y.title:
            parts.append(tag("text", self._y.title, x=0, y=12))
        return parts


def mark_at(x: float | str, y: float, series: str) -> Markup:
    """The marker of a series: a disc for after, a square for before, a diamond for a control.

    Args:
        x: Position [SVG units], or a string such as `50%`.
        y: Position [SVG units].
        series: CSS class of the series. Its first letter selects the shape.
    """
    if series.startswith("c"):
        diamond = tag("path", d="M0 -6l6 6l-6 6l-6 -6z", class_=f"mark {series}")
        return tag("svg", diamond, x=x, y=y, overflow="visible")
    if series.startswith("b"):
        square = tag("rect", x=-4.5, y=-4.5, width=9, height=9, class_=f"mark {series}")
        return tag("svg", square, x=x, y=y, overflow="visible")
    return tag("circle", cx=x, cy=y, r=5, class_=f"mark {series}")


def svg_points(points: FloatArray) -> str:
    """Points `(N, 2)` as the value of an SVG `points` attribute."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


def series_classes(count: int, *, has_before: bool) -> list[str]:
    """CSS classes of the evaluations: before, after, then the controls."""
    first = ["before", "after"] if has_before else ["after"]
    return [*first, *(f"c{index % 3}" for index in range(count - len(first)))]


def round_up(value: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)


def ticks_between(low: float, high: float) -> list[float]:
    """About five round values that enclose a range."""
    step = round_up((high - low) / 4 or 1.0)
    first = math.floor(low / step + 1e-9)
    return [step * i for i in range(first, math.ceil(high / step - 1e-9) + 1)] or [low]


def axis_from_ticks(
    values: Sequence[float], format_tick: Callable[[float], str], title: str = ""
) -> Axis:
    """An axis from the first to the last tick."""
    ticks = [(value, format_tick(value)) for value in values]
    return Axis(values[0], values[-1], ticks, title)


def format_number(value: float) -> str:
    """Format a number with about five characters at most."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e−").replace("e+0", "e")
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:.0f}"


def format_percent(value: float) -> str:
    """Format a fraction as a percentage, without the percent sign."""
    return format_number(round(100 * value, 6))
