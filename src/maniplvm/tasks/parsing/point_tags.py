"""Points in the tags that Molmo and Molmo 2 write.

- Molmo: `<point x="1" y="2">`, `<points x1="1" y1="2" x2="3" y2="4">`
- Molmo 2: `<points coords="1 1 100 200 2 300 400">`, `<tracks coords="0.0 1 100 200;0.5 1 300 400">`. Each
  part between `;` or tabs starts with the image's number or the time. Then each point has id, x and y.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?:points?|tracks)\s([^<>]*+)", re.IGNORECASE)
_COORDS = re.compile(r"""\bcoords\s{0,8}+=\s{0,8}+["']([^"'<>]*+)""", re.IGNORECASE)
_PART = re.compile(r"[;\t\n]")
_NUMBER = re.compile(r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})")
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
        coords = _COORDS.search(tag[1])
        if coords is not None:
            for part in _PART.split(coords[1]):
                points += _numbered_points(part)
            continue
        axes: dict[str, dict[str, float]] = {"x": {}, "y": {}}
        for attribute in _ATTRIBUTE.finditer(tag[1]):
            axes[attribute["axis"].lower()][attribute["index"]] = float(attribute["number"])
        indices = sorted(axes["x"].keys() & axes["y"].keys(), key=lambda index: int(index or 0))
        points += [(axes["x"][index], axes["y"][index]) for index in indices]
    return points


def _numbered_points(part: str) -> list[tuple[float, float]]:
    """The points of one image or time. An incomplete last point is left out."""
    words = part.split()[1:]
    if not all(_NUMBER.fullmatch(word) for word in words):
        return []
    return [
        (float(words[index + 1]), float(words[index + 2])) for index in range(0, len(words) - 2, 3)
    ]
