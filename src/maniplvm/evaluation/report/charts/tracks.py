"""Small charts that share a row with text: intervals on a line, bars on a line.

Places are in per cent of the row's width, so the charts fit any screen and no text is scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from maniplvm.evaluation.report.charts.charts import mark_at
from maniplvm.evaluation.report.html.tags import tag

_MIDDLE = 11
_HEIGHT = 22
_BAR = 7


def difference_track(
    low: float, mean: float, high: float, limit: float, series: str, label: str
) -> Markup:
    """An interval about zero.

    Args:
        low: Lower end.
        mean: The difference itself.
        high: Upper end.
        limit: The value at both ends of the row.
        series: Class that colours it; its first letter decides the mark.
        label: What a screen reader says.
    """
    place = [f"{50 + 48 * max(-1.0, min(1.0, value / limit)):.2f}%" for value in (low, mean, high)]
    return tag(
        "svg",
        tag("title", label),
        tag("line", x1="50%", x2="50%", y1=0, y2=_HEIGHT, class_="zero"),
        tag("line", x1=place[0], x2=place[2], y1=_MIDDLE, y2=_MIDDLE, class_=f"span {series}"),
        mark_at(place[1], _MIDDLE, series),
        class_="track",
        role="img",
        height=_HEIGHT,
    )


def bar_track(
    bars: Sequence[tuple[str, float, float | None, float | None]], limit: float, label: str
) -> Markup:
    """Bars from zero, one below the other.

    Args:
        bars: Class, value, and the ends of its interval, or None.
        limit: The value at the row's right end.
        label: What a screen reader says.
    """
    height = 6 + len(bars) * (_BAR + 3) - 3
    parts = [tag("title", label)]
    for share in ("0%", "50%", "100%"):
        parts.append(tag("line", x1=share, x2=share, y1=-5, y2=height + 5, class_="grid"))
    for row, (series, value, low, high) in enumerate(bars):
        top = 3 + row * (_BAR + 3)
        parts.append(
            tag(
                "rect",
                x=0,
                y=top,
                width=_share(value, limit),
                height=_BAR,
                rx=2,
                class_=f"bar {series}",
            )
        )
        if low is not None and high is not None:
            middle = top + _BAR / 2
            ends = {"x1": _share(low, limit), "x2": _share(high, limit)}
            parts.append(tag("line", **ends, y1=middle, y2=middle, class_="whisker"))
    return tag("svg", *parts, class_="track", role="img", height=height)


def _share(value: float, limit: float) -> str:
    return f"{100 * max(0.0, min(1.0, value / limit)):.2f}%"
