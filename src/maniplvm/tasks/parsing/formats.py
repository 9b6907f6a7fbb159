"""Coordinates in free text, in the answer formats of the published models.

The text is tokenized once from left to right into brackets, numbers, names and strings. Other
tokens are skipped. From an unclosed bracket, the complete groups inside it are kept.

| answer format | example |
|---|---|
| bare list | `[10, 20, 30, 40]`, `[[1, 2], [3, 4], [5, 6]]` |
| Python tuples | `[(1, 2), (3, 4), (5, 6)]` |
| Qwen boxes | `{"bbox_2d": [10, 20, 30, 40]}`, the same in a list, with or without a label |
| Qwen points | `[{"point_2d": [1, 2]}, ...]` |
| corner and size | `{"x": 10, "y": 20, "width": 20, "height": 20}` |
| named corners | `{"x1": 10, "y1": 20, "x2": 30, "y2": 40}` |
| named points | `[{"x": 1, "y": 2}, ...]` |
| adjacent tuples | `(10, 20), (30, 40)`: the corners of a box, a trace, or points |
| one pair | `(10, 20)`, `{"point_2d": [10, 20]}`: a point |
| Gemini points | `[{"point": [2, 1], "label": "mug"}]` (y first, as in the frame `gemini_er`) |
| Molmo points | `<point x="1" y="2" alt="mug">`, `<points x1="1" y1="2" x2="3" y2="4">` |
| Molmo 2 points | `<points coords="1 1 100 200 2 300 400">`: image, then id, x, y of each point |
| Molmo 2 tracks | `<tracks coords="0.0 1 100 200;0.5 1 300 400">`: time, then id, x, y |
| lists of points | `1. (10, 20)`, `- (10, 20)`, `Point 1: (10, 20)`, one on each line |
| tagged points | `<point>[10, 20]</point><point>[30, 40]</point>` |
| location tokens | PaliGemma `<loc0123>` (y first), Florence-2 `<loc_123>` |

A trace of three or more points is preferred to a single point or pair after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from maniplvm.tasks.parsing.point_tags import tagged_points
from maniplvm.tasks.sample import Task

MAX_NUMBER_LENGTH = 40
"""Maximum length of a number in characters. A longer number is treated as a word."""

MAX_DEPTH = 16
"""Maximum depth of nested brackets. Deeper brackets are skipped."""

UNSUPPORTED = re.compile(r"<patch_index_\d{1,4}>|<\|?(?:sub)?patch_\d", re.IGNORECASE)
"""Tokens that give coordinates only with the model's own processor: those of Kosmos-2 and MolmoPoint."""

_TOKEN = re.compile(
    r"""
      (?P<open>[\[({])
    | (?P<close>[\])}])
    | (?P<marker>^[ \t]{0,16}+(?:[-*•‣–]|\d{1,3}+[.):])[ \t]{1,8}+)
    | (?P<location><loc_?\d{1,4}>)
    | (?P<neutral></?(?:points?|box|trace|trajectory)>)
    | (?P<label>\b(?:point|pt|p|step|waypoint)[ \t_]{0,4}+\#?\d{1,3}+[ \t]{0,4}+[:=.)-])
    | (?P<number>[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:e[-+]?\d++)?+(?![\w.]))
    | (?P<infinite>[-+]?(?:nan|inf|infinity)\b)
    | (?P<joint>,|;|->|=>|→|(?:and|to|then)\b)
    | (?P<name>["']?[a-z_]\w{0,63}+["']?\s{0,8}+:)
    | (?P<string>(?<!\w)(?:"[^"\n\[\](){}]{0,200}"|'[^'\n\[\](){}]{0,200}')(?!\w))
    | (?P<other>[\w.+-]++|\S)
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
"""Every quantifier is bounded or possessive, so the regular expression never backtracks."""

MIN_TRACE_POINTS = 3
"""Number of points from which on a list is a complete trace."""

_PARTNER = {"]": "[", ")": "(", "}": "{"}

_BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box", "affordance", "answer")
_POINT_KEYS = ("point_2d", "point")
_TRACE_KEYS = ("trajectory", "trace", "points", "path", "waypoints", "answer")


@dataclass(frozen=True)
class Coordinates:
    """Numbers in the notation of the model.

    Attributes:
        points: Pairs in the written order. A box has two corners.
        x_first: Whether x comes first because keys name the axes. The frame's order is then ignored.
        size_second: Whether the second pair is a width and a height.
    """

    points: list[tuple[float, float]]
    x_first: bool = False
    size_second: bool = False


@dataclass
class _Group:
    """A pair of brackets with its content.

    Attributes:
        bracket: The opening bracket.
        items: Numbers and inner groups, in order.
        names: The items that follow a key, by key.
        has_words: Whether there are words between the items. The group is then prose.
    """

    bracket: str
    items: list[float | _Group] = field(default_factory=list["float | _Group"])
    names: dict[str, float | _Group] = field(default_factory=dict[str, "float | _Group"])
    has_words: bool = False


_Item: TypeAlias = float | _Group


def find_coordinates(payload: str, task: Task) -> Coordinates | None:
    """Find the last box, trace or list of points in a text.

    Args:
        payload: The text to search, of bounded length.
        task: The task, which decides the shape.

    Returns:
        The coordinates in the model's own numbers and order, or None if nothing has the shape. They
        may be infinite or NaN, and their count may be wrong. A list of numbers that is not a box
        gives coordinates without points.
    """
    groups = _groups(payload)
    if task is Task.AFFORDANCE:
        return _last_box(groups)
    tagged = tagged_points(payload)
    if tagged:
        return Coordinates(tagged, x_first=True)
    return _last_trace(groups) if task is Task.TRAJECTORY else _last_points(groups)


def _groups(text: str) -> list[_Group | None]:
    """The outermost groups in order. None stands for text between them."""
    found = list[_Group | None]()
    stack = list[_Group]()
    name: str | None = None

    def append(item: _Item) -> None:
        nonlocal name
        if not stack:
            found.append(item if isinstance(item, _Group) else None)
            return
        stack[-1].items.append(item)
        if name is not None:
            stack[-1].names[name] = item
        name = None

    locations: _Group | None = None
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "location":
            if locations is None:
                locations = _Group("[")
                append(locations)
            locations.items.append(float(token.strip("<>").lower().removeprefix("loc").strip("_")))
            continue
        locations = None
        if kind in ("marker", "label", "neutral"):
            if stack:
                _add_inside(kind, token, stack, append)
        elif kind == "open":
            if len(stack) < MAX_DEPTH:
                pending = _Group(token)
                if stack and name is not None:
                    stack[-1].names[name] = pending
                name = None
                stack.append(pending)
            else:
                stack.clear()
        elif kind == "close":
            name = None
            if stack and stack[-1].bracket == _PARTNER[token]:
                append(stack.pop())
            else:
                found.extend(_complete_groups(stack))
                stack.clear()
        elif kind in ("number", "infinite"):
            if len(token) > MAX_NUMBER_LENGTH:
                _add_word(stack, found)
            else:
                append(float(token))
        elif kind == "name":
            name = token.rstrip(":").strip().strip("\"'").lower() if stack else None
            if not stack:
                found.append(None)
        elif kind == "string":
            name = None
        elif kind == "other":
            _add_word(stack, found)
            name = None
    found.extend(_complete_groups(stack))
    return found


def _add_inside(
    kind: str, token: str, stack: list[_Group], append: Callable[[_Item], None]
) -> None:
    """Handle a list marker, label or tag inside brackets, where it separates no points."""
    number = token.strip().rstrip(".):")
    if kind == "marker" and number.isdecimal():
        append(float(number))
    else:
        stack[-1].has_words = True


def _add_word(stack: list[_Group], found: list[_Group | None]) -> None:
    """Record a word. It marks the open group as prose, or separates two groups."""
    if stack:
        stack[-1].has_words = True
    else:
        found.append(None)


def _complete_groups(stack: Sequence[_Group]) -> list[_Group | None]:
    """The complete groups inside unclosed brackets, outermost first."""
    groups = list[_Group | None]()
    for open_group in stack:
        groups.extend(item for item in open_group.items if isinstance(item, _Group))
    return groups


def _last_box(groups: Sequence[_Group | None]) -> Coordinates | None:
    for index in range(len(groups) - 1, -1, -1):
        group = groups[index]
        if group is None:
            continue
        box = _box(group)
        if box:
            return box
        before = groups[index - 1] if index else None
        if before is not None:
            first, second = _point(before), _point(group)
            if first and second:
                return Coordinates([first.points[0], second.points[0]], first.x_first)
    if any(group and _numbers(group, len(group.items)) for group in groups):
        return Coordinates([])
    return None


def _box(group: _Group) -> Coordinates | None:
    if group.bracket == "{":
        return _object_box(group)
    if group.has_words:
        return _nested_box(group)
    numbers = _numbers(group, 4)
    if numbers:
        return Coordinates([(numbers[0], numbers[1]), (numbers[2], numbers[3])])
    if len(group.items) == 2:
        corners = [_point(item) for item in group.items if isinstance(item, _Group)]
        if len(corners) == 2 and corners[0] and corners[1]:
            return Coordinates([corners[0].points[0], corners[1].points[0]], corners[0].x_first)
    return _nested_box(group)


def _nested_box(group: _Group) -> Coordinates | None:
    for item in reversed(group.items):
        box = _box(item) if isinstance(item, _Group) else None
        if box:
            return box
    return None


def _object_box(group: _Group) -> Coordinates | None:
    for key in _BOX_KEYS:
        item = group.names.get(key)
        box = _box(item) if isinstance(item, _Group) else None
        if box:
            return box
    named = _named(group, ("x", "y", "width", "height")) or _named(group, ("x", "y", "w", "h"))
    if named:
        return Coordinates([(named[0], named[1]), (named[2], named[3])], True, True)
    named = _named(group, ("x1", "y1", "x2", "y2")) or _named(
        group, ("xmin", "ymin", "xmax", "ymax")
    )
    if named:
        return Coordinates([(named[0], named[1]), (named[2], named[3])], True)
    return _nested_box(group)


def _last_trace(groups: Sequence[_Group | None]) -> Coordinates | None:
    """The last trace of three or more points, or else the last shorter list. Adjacent points form one."""
    fragment: Coordinates | None = None
    index = len(groups) - 1
    while index >= 0:
        group = groups[index]
        found, used = None, 1
        if group is not None:
            found = _trace(group)
            if found is None and _point(group):
                found = _adjacent_points(groups, index)
                used = len(found.points)
        if found is not None and len(found.points) >= MIN_TRACE_POINTS:
            return found
        fragment = fragment or found
        index -= used
    return fragment


def _last_points(groups: Sequence[_Group | None]) -> Coordinates | None:
    """The last list of points, or the last point with the points directly before it."""
    for index in range(len(groups) - 1, -1, -1):
        group = groups[index]
        if group is None:
            continue
        if _point(group):
            return _adjacent_points(groups, index)
        points = _points(group)
        if points:
            return points
    return None


def _points(group: _Group) -> Coordinates | None:
    """One point or several, at any depth."""
    found = _point(group) or _trace(group)
    if found:
        return found
    inner = [*map(group.names.get, _TRACE_KEYS), *reversed(group.items)]
    return next((points for item in inner if (points := _points_of(item))), None)


def _points_of(item: _Item | None) -> Coordinates | None:
    return _points(item) if isinstance(item, _Group) else None


def _adjacent_points(groups: Sequence[_Group | None], index: int) -> Coordinates:
    """The point at an index with the points directly before it, in the written order."""
    run = list[Coordinates]()
    while index >= 0 and (item := groups[index]) is not None and (point := _point(item)):
        run.append(point)
        index -= 1
    return _concatenated(run[::-1])


def _trace(group: _Group) -> Coordinates | None:
    if group.bracket == "{":
        for key in _TRACE_KEYS:
            item = group.names.get(key)
            trace = _trace(item) if isinstance(item, _Group) else None
            if trace:
                return trace
        return None
    if not group.items:
        return None
    points = [_point(item) if isinstance(item, _Group) else None for item in group.items]
    if all(points) and not group.has_words:
        return _concatenated([point for point in points if point])
    numbers = _numbers(group, len(group.items))
    if numbers and len(numbers) >= 6 and len(numbers) % 2 == 0:
        return Coordinates(list(zip(numbers[::2], numbers[1::2], strict=True)))
    for item in reversed(group.items):
        trace = _trace(item) if isinstance(item, _Group) else None
        if trace:
            return trace
    return None


def _concatenated(points: Sequence[Coordinates]) -> Coordinates:
    return Coordinates([point.points[0] for point in points], points[0].x_first)


def _point(group: _Group) -> Coordinates | None:
    """A pair of numbers, bare or in an object."""
    if group.bracket == "{":
        for key in _POINT_KEYS:
            item = group.names.get(key)
            if isinstance(item, _Group) and (point := _point(item)):
                return point
        named = _named(group, ("x", "y"))
        return Coordinates([(named[0], named[1])], True) if named else None
    numbers = _numbers(group, 2)
    return Coordinates([(numbers[0], numbers[1])]) if numbers else None


def _numbers(group: _Group, length: int) -> list[float] | None:
    if group.has_words or len(group.items) != length:
        return None
    numbers = [item for item in group.items if isinstance(item, float)]
    return numbers if len(numbers) == length else None


def _named(group: _Group, keys: Sequence[str]) -> list[float] | None:
    numbers = [group.names.get(key) for key in keys]
    floats = [number for number in numbers if isinstance(number, float)]
    return floats if len(floats) == len(keys) else None
