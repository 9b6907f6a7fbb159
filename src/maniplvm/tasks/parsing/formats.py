"""Coordinates in free text: lists, tuples and objects as the published models write them.

A grammar over brackets, numbers, names and strings, read once from left to right. What does not
fit is skipped, and an unclosed bracket gives up what it already holds.

| dialect | example |
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
| Gemini points | `[{"point": [2, 1], "label": "mug"}]` (y first, as its frame says) |
| Molmo points | `<point x="1" y="2" alt="mug">`, `<points x1="1" y1="2" x2="3" y2="4">` |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from maniplvm.tasks.parsing.point_tags import tagged_points
from maniplvm.tasks.sample import Task

MAX_NUMBER_LENGTH = 40
"""A longer run of digits is no coordinate."""

MAX_DEPTH = 16
"""Deeper brackets hold no answer."""

_TOKEN = re.compile(
    r"""
      (?P<open>[\[({])
    | (?P<close>[\])}])
    | (?P<number>[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:e[-+]?\d++)?+(?![\w.]))
    | (?P<infinite>[-+]?(?:nan|inf|infinity)\b)
    | (?P<joint>,|;|->|=>|→|(?:and|to|then)\b)
    | (?P<name>["']?[a-z_]\w{0,63}+["']?\s{0,8}+:)
    | (?P<string>(?<!\w)(?:"[^"\n\[\](){}]{0,200}"|'[^'\n\[\](){}]{0,200}')(?!\w))
    | (?P<other>[\w.+-]++|\S)
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Every quantifier is bounded or possessive: no text makes it backtrack."""

_PARTNER = {"]": "[", ")": "(", "}": "{"}

_BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box", "affordance", "answer")
_POINT_KEYS = ("point_2d", "point")
_TRACE_KEYS = ("trajectory", "trace", "points", "path", "waypoints", "answer")


@dataclass(frozen=True)
class Coordinates:
    """Numbers as the model wrote them.

    Attributes:
        points: Pairs in the written order; two corners for a box.
        x_first: The keys named the axes, so the frame's order does not apply.
        size_second: The second pair is a width and a height.
    """

    points: list[tuple[float, float]]
    x_first: bool = False
    size_second: bool = False


@dataclass
class _Group:
    """A bracket and what it holds: numbers, groups, and in an object the names before them."""

    bracket: str
    items: list[float | _Group] = field(default_factory=list["float | _Group"])
    names: dict[str, float | _Group] = field(default_factory=dict[str, "float | _Group"])
    spoiled: bool = False


_Item: TypeAlias = float | _Group


def find_coordinates(payload: str, task: Task) -> Coordinates | None:
    """The last box, trace or list of points in a text.

    Args:
        payload: The text to search, already cut to a bounded length.
        task: Which shape to look for.

    Returns:
        The coordinates in the model's own numbers and order (possibly infinite or NaN, or of the
        wrong count: a list of three numbers is a box without points); None when there is nothing
        of the shape.
    """
    groups = _groups(payload)
    if task is Task.AFFORDANCE:
        return _last_box(groups)
    tagged = tagged_points(payload)
    if tagged:
        return Coordinates(tagged, x_first=True)
    return _last_trace(groups) if task is Task.TRAJECTORY else _last_points(groups)


def _groups(text: str) -> list[_Group | None]:
    """The outermost groups in order; None stands for text between them."""
    found = list[_Group | None]()
    stack = list[_Group]()
    name: str | None = None

    def place(item: _Item) -> None:
        nonlocal name
        if not stack:
            found.append(item if isinstance(item, _Group) else None)
            return
        stack[-1].items.append(item)
        if name is not None:
            stack[-1].names[name] = item
        name = None

    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "open":
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
                place(stack.pop())
            else:
                found.extend(_salvaged(stack))
                stack.clear()
        elif kind in ("number", "infinite"):
            if len(token) > MAX_NUMBER_LENGTH:
                _spoil(stack, found)
            else:
                place(float(token))
        elif kind == "name":
            name = token.rstrip(":").strip().strip("\"'").lower() if stack else None
            if not stack:
                found.append(None)
        elif kind == "string":
            name = None
        elif kind == "other":
            _spoil(stack, found)
            name = None
    found.extend(_salvaged(stack))
    return found


def _spoil(stack: list[_Group], found: list[_Group | None]) -> None:
    """A word: inside brackets it makes them prose, outside it separates groups."""
    if stack:
        stack[-1].spoiled = True
    else:
        found.append(None)


def _salvaged(stack: Sequence[_Group]) -> list[_Group | None]:
    """The complete groups inside brackets that never closed, outermost first."""
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
    if group.spoiled:
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
    """The last trace; points that stand next to one another form one."""
    for index in range(len(groups) - 1, -1, -1):
        group = groups[index]
        if group is None:
            continue
        trace = _trace(group)
        if trace:
            return trace
        if _point(group):
            return _run_of_points(groups, index)
    return None


def _last_points(groups: Sequence[_Group | None]) -> Coordinates | None:
    """The last list of points, or the last point with those that stand right before it."""
    for index in range(len(groups) - 1, -1, -1):
        group = groups[index]
        if group is None:
            continue
        if _point(group):
            return _run_of_points(groups, index)
        points = _points(group)
        if points:
            return points
    return None


def _points(group: _Group) -> Coordinates | None:
    """One point or several, however deep they stand."""
    found = _point(group) or _trace(group)
    if found:
        return found
    inner = [*map(group.names.get, _TRACE_KEYS), *reversed(group.items)]
    return next((points for item in inner if (points := _grouped_points(item))), None)


def _grouped_points(item: _Item | None) -> Coordinates | None:
    return _points(item) if isinstance(item, _Group) else None


def _run_of_points(groups: Sequence[_Group | None], index: int) -> Coordinates:
    """The point at a place with the points that stand right before it, in the written order."""
    run = list[Coordinates]()
    while index >= 0 and (item := groups[index]) is not None and (point := _point(item)):
        run.append(point)
        index -= 1
    return _joined(run[::-1])


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
    if all(points) and not group.spoiled:
        return _joined([point for point in points if point])
    numbers = _numbers(group, len(group.items))
    if numbers and len(numbers) >= 6 and len(numbers) % 2 == 0:
        return Coordinates(list(zip(numbers[::2], numbers[1::2], strict=True)))
    for item in reversed(group.items):
        trace = _trace(item) if isinstance(item, _Group) else None
        if trace:
            return trace
    return None


def _joined(points: Sequence[Coordinates]) -> Coordinates:
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
    if group.spoiled or len(group.items) != length:
        return None
    numbers = [item for item in group.items if isinstance(item, float)]
    return numbers if len(numbers) == length else None


def _named(group: _Group, keys: Sequence[str]) -> list[float] | None:
    numbers = [group.names.get(key) for key in keys]
    floats = [number for number in numbers if isinstance(number, float)]
    return floats if len(floats) == len(keys) else None
