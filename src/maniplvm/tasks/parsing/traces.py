"""Traces and lists of points in the groups of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from maniplvm.tasks.parsing.groups import Group
from maniplvm.tasks.parsing.points import (
    Coordinates,
    has_numbers,
    joined,
    numbers_of,
    pairs,
    point_of,
    point_with_depth,
)
from maniplvm.tasks.parsing.status import Guess

MIN_TRACE_POINTS = 3
"""Number of points from which on a list is a complete trace."""

_TRACE_KEYS = ("trajectory", "trace", "points", "path", "waypoints", "answer")
_ORDERED_KEY = re.compile(r"(?:p|pt|point|step|waypoint|frame|t)\d{1,3}|start|middle|mid|goal|end")


def last_trace(groups: Sequence[Group | None]) -> Coordinates | None:
    """The last trace of three or more points, or else the last shorter list.

    Points side by side form one trace. Coordinates without points mean numbers but no point.
    """
    lists = list[Coordinates]()
    for group, run in _runs(groups):
        found = trace_of(group) if group is not None else joined(run)
        if found is not None:
            lists.append(found)
    complete = [each for each in lists if len(each.points) >= MIN_TRACE_POINTS]
    if not complete:
        return lists[-1] if lists else _wrong_count(groups)
    last = complete[-1]
    if any(each.points != last.points for each in complete):
        last = last.plus(Guess.SEVERAL_ANSWERS)
    return last.plus(Guess.OTHER_POINTS) if len(complete) < len(lists) else last


def last_points(groups: Sequence[Group | None]) -> Coordinates | None:
    """The last list of points, or the last point with the points directly before it.

    Coordinates without points mean numbers but no point.
    """
    lists = list[Coordinates]()
    for group, run in _runs(groups):
        found = points_of(group) if group is not None else joined(run)
        if found is not None:
            lists.append(found)
    if not lists:
        return _wrong_count(groups)
    last = lists[-1]
    if any(each.points != last.points for each in lists):
        return last.plus(Guess.SEVERAL_ANSWERS)
    return last


def trace_of(group: Group) -> Coordinates | None:
    """The last list of points in a group, at any depth."""
    keyed = [item for key in _TRACE_KEYS if isinstance(item := group.names.get(key), Group)]
    found = next((trace for item in keyed if (trace := trace_of(item))), None)
    found = found or _plain_trace(group)
    if found is None:
        others = [item for item in group.items if not any(item is tried for tried in keyed)]
        inner = [trace_of(item) for item in others if isinstance(item, Group)]
        traces = [each for each in inner if each is not None]
        if not traces:
            return None
        found = traces[-1]
        if any(trace.points != found.points for trace in traces):
            found = found.plus(Guess.SEVERAL_ANSWERS)
    elif group.named_twice:
        found = found.plus(Guess.SEVERAL_ANSWERS)
    return found.plus(Guess.CUT_OFF) if group.cut_off else found


def points_of(group: Group) -> Coordinates | None:
    """One point or several, at any depth."""
    found = point_of(group) or trace_of(group)
    if found:
        return found
    keyed = [item for key in _TRACE_KEYS if isinstance(item := group.names.get(key), Group)]
    others = [item for item in reversed(group.items) if not any(item is each for each in keyed)]
    inner = [points_of(item) for item in (*keyed, *others) if isinstance(item, Group)]
    lists = [points for points in inner if points]
    if not lists:
        return None
    if any(each.points != lists[0].points for each in lists):
        return lists[0].plus(Guess.SEVERAL_ANSWERS)
    return lists[0]


def _plain_trace(group: Group) -> Coordinates | None:
    """A list of points, a flat list of numbers, or an object with numbered points."""
    if group.has_words or not group.items:
        return None
    inner = [item for item in group.items if isinstance(item, Group)]
    if len(inner) == len(group.items):
        if group.names and not all(map(_ORDERED_KEY.fullmatch, group.names)):
            return None
        if group.bracket == "{" and len(group.names) != len(inner):
            return None
        points = [point for item in inner if (point := point_of(item))]
        if len(points) == len(inner):
            return joined(points)
        if len(inner) >= MIN_TRACE_POINTS:
            points = [point for item in inner if (point := point_with_depth(item))]
            if len(points) == len(inner):
                return joined(points)
        return None
    numbers = None if group.bracket == "{" else numbers_of(group, len(group.items))
    if not numbers or len(numbers) < 2 * MIN_TRACE_POINTS or len(numbers) % 2:
        return None
    spacing = group.tight_commas
    if len(set(spacing)) > 1 and any(spacing[1::2]):  # `1,200, 340`: a comma separates thousands
        return None
    return Coordinates(pairs(numbers))


def _runs(
    groups: Sequence[Group | None],
) -> list[tuple[Group | None, list[Coordinates]]]:
    """Each group that is no point, and each run of points side by side."""
    found, run = list[tuple[Group | None, list[Coordinates]]](), list[Coordinates]()
    for group in (*groups, None):
        point = None if group is None else point_of(group)
        if point is not None:
            run.append(point)
            continue
        if run:
            found.append((None, run))
            run = []
        if group is not None:
            found.append((group, []))
    return found


def _wrong_count(groups: Sequence[Group | None]) -> Coordinates | None:
    return Coordinates([]) if has_numbers(groups) else None
