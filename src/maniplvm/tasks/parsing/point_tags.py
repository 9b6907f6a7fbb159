"""Points in tags, as Molmo writes them: `<point x="1" y="2">`, `<points x1="1" y1="2" x2= ...>`."""

from __future__ import annotations

import re

_MARK = re.compile(r"<points?\s([^<>]*+)", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\b(?P<axis>[xy])(?P<place>\d{0,4})\s{0,8}+=\s{0,8}+["']?\s{0,8}+"""
    r"(?P<number>[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}))(?![\w.])",
    re.IGNORECASE,
)


def tagged_points(text: str) -> list[tuple[float, float]]:
    """The points `(x, y)` of all such tags in a text, in each tag in the order of their numbers.

    Numbers are as they were written; a tag without a whole pair has no point.
    """
    points = list[tuple[float, float]]()
    for mark in _MARK.finditer(text):
        axes: dict[str, dict[str, float]] = {"x": {}, "y": {}}
        for attribute in _ATTRIBUTE.finditer(mark[1]):
            axes[attribute["axis"].lower()][attribute["place"]] = float(attribute["number"])
        places = sorted(axes["x"].keys() & axes["y"].keys(), key=lambda place: int(place or 0))
        points += [(axes["x"][place], axes["y"][place]) for place in places]
    return points
