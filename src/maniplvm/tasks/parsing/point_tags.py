"""Points in the tags that Molmo writes: `<point x="1" y="2">`, `<points x1="1" y1="2" x2= ...>`."""

from __future__ import annotations

import re

_TAG = re.compile(r"<points?\s([^<>]*+)", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\b(?P<axis>[xy])(?P<index>\d{0,4})\s{0,8}+=\s{0,8}+["']?\s{0,8}+"""
    r"(?P<number>[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}))(?![\w.])",
    re.IGNORECASE,
)


def tagged_points(text: str) -> list[tuple[float, float]]:
    """The points `(x, y)` of all point tags in a text.

    Points of one tag are in the order of their indices. An x without its y is ignored. Numbers are
    returned as written.
    """
    points = list[tuple[float, float]]()
    for tag in _TAG.finditer(text):
        axes: dict[str, dict[str, float]] = {"x": {}, "y": {}}
        for attribute in _ATTRIBUTE.finditer(tag[1]):
            axes[attribute["axis"].lower()][attribute["index"]] = float(attribute["number"])
        indices = sorted(axes["x"].keys() & axes["y"].keys(), key=lambda index: int(index or 0))
        points += [(axes["x"][index], axes["y"][index]) for index in indices]
    return points
