"""Charts with two axes, as inline SVG: every chart of the page that is not a row of text.

Colours come from classes (`before`, `after`, `c0`, `s0`, ...), so that light and dark pages differ by
styles alone.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.charts.scales import Axis
from maniplvm.evaluation.report.html.tags import tag
from maniplvm.geometry.arrays import FloatArray

WIDTH = 360
_LEFT, _RIGHT, _LINE = 46, 14, 17


class Chart:
    """A frame with axes; draw into it, then take it with `drawn`."""

    def __init__(self, x: Axis, y: Axis, label: str, *, height: float = 150) -> None:
        """Draw the frame.

        Args:
            x: The horizontal axis.
            y: The vertical one.
            label: What a screen reader says.
            height: Of the field between the axes, in units of the drawing.
        """
        self._x, self._y = x, y
        self._top = 9 + _LINE * bool(y.title)
        self._bottom = self._top + height
        self._height = self._bottom + _LINE * (1.15 + bool(x.notes) + bool(x.title))
        self._parts: list[Markup] = [tag("title", label), *self._frame()]

    def line(self, points: FloatArray, series: str) -> None:
        """Join points `(N, 2)` in the units of the axes."""
        x, y = self._across(points[:, 0]), self._up(points[:, 1])
        self._parts.append(tag("polyline", points=path_of(np.column_stack([x, y])), class_=series))

    def mark(self, x: float, y: float, series: str, *, shift: float = 0.0) -> None:
        """The mark of a series at a place; `shift` moves it sideways [units of the drawing]."""
        self._parts.append(mark_at(float(self._across(x)) + shift, float(self._up(y)), series))

    def whisker(self, x: float, low: float, high: float, series: str, shift: float = 0.0) -> None:
        """A vertical interval."""
        across = float(self._across(x)) + shift
        ends = {"y1": float(self._up(low)), "y2": float(self._up(high))}
        self._parts.append(tag("line", x1=across, x2=across, **ends, class_=f"span {series}"))

    def guide(self, x: float, text: str) -> None:
        """A dotted vertical line with a word above the field."""
        across = float(self._across(x))
        self._parts += [
            tag("line", x1=across, x2=across, y1=self._top - 8, y2=self._bottom, class_="zero"),
            tag("text", text, x=across, y=12, text_anchor="middle"),
        ]

    def drawn(self) -> Markup:
        """The chart."""
        box = f"0 0 {WIDTH} {self._height:.0f}"
        return tag("svg", *self._parts, class_="curve", role="img", viewBox=box)

    def _across(self, values: FloatArray | float) -> FloatArray:
        return self._x.place(values, _LEFT, WIDTH - _RIGHT)

    def _up(self, values: FloatArray | float) -> FloatArray:
        return self._y.place(values, self._bottom, self._top)

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
    """The mark of a series: a disc after, a square before, a diamond for a control.

    Args:
        x: A place in the drawing's units, or a text such as `50%`.
        y: A place in the drawing's units.
        series: Class that colours it; its first letter decides the shape.
    """
    if series.startswith("c"):
        diamond = tag("path", d="M0 -6l6 6l-6 6l-6 -6z", class_=f"mark {series}")
        return tag("svg", diamond, x=x, y=y, overflow="visible")
    if series.startswith("b"):
        square = tag("rect", x=-4.5, y=-4.5, width=9, height=9, class_=f"mark {series}")
        return tag("svg", square, x=x, y=y, overflow="visible")
    return tag("circle", cx=x, cy=y, r=5, class_=f"mark {series}")


def path_of(points: FloatArray) -> str:
    """Points `(N, 2)` as SVG writes them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


def series_of(names: int, *, has_before: bool) -> list[str]:
    """Classes of evaluations in the page's order: before, after, then the controls."""
    first = ["before", "after"] if has_before else ["after"]
    return [*first, *(f"c{index % 3}" for index in range(names - len(first)))]
