"""Small charts within a row of text: intervals and bars.

Horizontal positions are percentages of the width of the row, so the charts fit every screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from maniplvm.evaluation.report.charts.chart import mark_at
from maniplvm.evaluation.report.html import tag

_MIDDLE = 11
_HEIGHT = 22
_BAR = 7


def interval_chart(
    low: float, mean: float, high: float, limit: float, series: str, label: str
) -> Markup:
    """Draw a difference with its interval on an axis around zero.

    Args:
        low: Lower end of the interval.
        mean: The difference.
        high: Upper end of the interval.
        limit: Absolute value at both ends of the row.
        series: CSS class of the series. Its first letter selects the marker.
        label: Text for screen readers.
    """
    positions = [
        f"{50 + 48 * max(-1.0, min(1.0, value / limit)):.2f}%" for value in (low, mean, high)
    ]
    return tag(
        "svg",
        tag("title", label),
        tag("line", x1="50%", x2="50%", y1=0, y2=_HEIGHT, class_="zero"),
        tag(
            "line",
            x1=positions[0],
            x2=positions[2],
            y1=_MIDDLE,
            y2=_MIDDLE,
            class_=f"span {series}",
        ),
        mark_at(positions[1], _MIDDLE, series),
        class_="track",
        role="img",
        height=_HEIGHT,
    )


def bar_chart(
    bars: Sequence[tuple[str, float, float | None, float | None]], limit: float, label: str
) -> Markup:
    """Draw horizontal bars, one below the other.

    Args:
        bars: CSS class, value, and the ends of its interval or None.
        limit: Value at the right end of the row.
        label: Text for screen readers.
    """
    height = 6 + len(bars) * (_BAR + 3) - 3
    parts = [tag("title", label)]
    for position in ("0%", "50%", "100%"):
        parts.append(tag("line", x1=position, x2=position, y1=-5, y2=height + 5, class_="grid"))
    for row, (series, value, low, high) in enumerate(bars):
        top = 3 + row * (_BAR + 3)
        parts.append(
            tag(
                "rect",
                x=0,
                y=top,
                width=_percent(value, limit),
                height=_BAR,
                rx=2,
                class_=f"bar {series}",
            )
        )
        if low is not None and high is not None:
            middle = top + _BAR / 2
            ends = {"x1": _percent(low, limit), "x2": _percent(high, limit)}
            parts.append(tag("line", **ends, y1=middle, y2=middle, class_="whisker"))
    return tag("svg", *parts, class_="track", role="img", height=height)


def _percent(value: float, limit: float) -> str:
    return f"{100 * max(0.0, min(1.0, value / limit)):.2f}%"
