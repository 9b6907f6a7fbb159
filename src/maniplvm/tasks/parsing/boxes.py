"""The box in the groups of a text."""

from __future__ import annotations

from collections.abc import Sequence

from maniplvm.tasks.parsing.groups import Group
from maniplvm.tasks.parsing.points import (
    Coordinates,
    decimals_of,
    has_numbers,
    named_numbers,
    numbers_of,
    pairs,
    point_of,
)
from maniplvm.tasks.parsing.status import Guess

_BOX_KEYS = ("bbox2d", "bbox", "box2d", "box", "boxes", "affordance", "answer")
_CORNERS = (("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"))
_NAMED_CORNERS = (("topleft", "bottomright"), ("topright", "bottomleft"), ("min", "max"))
_OPPOSITE = {
    "topleft": "bottomright",
    "bottomright": "topleft",
    "topright": "bottomleft",
    "bottomleft": "topright",
}


def last_box(groups: Sequence[Group | None]) -> Coordinates | None:
    """The last box of a text.

    A box in one bracket is preferred to a box of two points side by side.

    Returns:
        The box; coordinates without points if there are numbers but no box; None without numbers.
    """
    boxes = [box for group in groups if group is not None and (box := box_of(group))]
    pairs, unpaired = _boxes_of_pairs(groups)
    chosen = _last_of(boxes)
    if chosen is not None:
        return chosen.plus(Guess.OTHER_POINTS) if pairs else chosen
    chosen = _last_of(pairs)
    if chosen is not None:
        return chosen.plus(Guess.OTHER_POINTS) if unpaired else chosen
    return Coordinates([]) if has_numbers(groups) else None


def box_of(group: Group) -> Coordinates | None:
    """The last box in a group, at any depth. An item with the key of a box comes first."""
    keyed = [item for key in _BOX_KEYS if isinstance(item := group.names.get(key), Group)]
    box = next((box for item in keyed if (box := box_of(item))), None)
    box = box or _named_box(group) or _plain_box(group)
    if box is None:
        others = [item for item in group.items if not any(item is tried for tried in keyed)]
        inner = [box_of(item) for item in others if isinstance(item, Group)]
        box = _last_of([each for each in inner if each is not None])
    elif group.named_twice:
        box = box.plus(Guess.SEVERAL_ANSWERS)
    return box.plus(Guess.CUT_OFF) if box is not None and group.cut_off else box


def _named_box(group: Group) -> Coordinates | None:
    if not group.names:
        return None
    for first, second in _NAMED_CORNERS:
        corners = [group.names.get(key) for key in (first, second)]
        points = [point_of(corner) for corner in corners if isinstance(corner, Group)]
        if len(points) == 2 and points[0] and points[1]:
            return _box_of_points(points[0], points[1], any_corners=True)
    for keys in _CORNERS:
        if named := named_numbers(group, keys):
            return Coordinates(pairs(named, True))
    return _box_with_size(group)


def _box_with_size(group: Group) -> Coordinates | None:
    size = named_numbers(group, ("width", "height"))
    if size is None:
        return None
    width, height = size
    if corner := named_numbers(group, ("xmin", "ymin")):
        return Coordinates(pairs([*corner, *size], True), size_second=True)
    if center := named_numbers(group, ("cx", "cy")):
        x, y = center
        low, high = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
        return Coordinates(pairs([*low, *high], True))
    if corner := named_numbers(group, ("x", "y")):
        guess = frozenset({Guess.CORNER_AND_SIZE})
        return Coordinates(pairs([*corner, *size], True), guess, size_second=True)
    return None


def _plain_box(group: Group) -> Coordinates | None:
    """Four bare numbers, two points, or the four corners of a rectangle."""
    if group.bracket == "{" or group.has_words:
        return None
    if numbers := numbers_of(group, 4):
        return Coordinates(pairs(numbers))
    if decimals := decimals_of(group, 4):
        guess = frozenset({Guess.DECIMAL_COMMA})
        return Coordinates(pairs(decimals), guess)
    if len(group.items) not in (2, 4):
        return None
    points = [point_of(item) for item in group.items if isinstance(item, Group)]
    corners = [point for point in points if point]
    if len(corners) != len(group.items):
        return None
    return _box_of_points(corners[0], corners[1]) if len(corners) == 2 else _rectangle(corners)


def _box_of_points(
    first: Coordinates, second: Coordinates, *, any_corners: bool = False
) -> Coordinates:
    guesses = first.guesses | second.guesses
    return Coordinates([first.points[0], second.points[0]], guesses, any_corners=any_corners)


def _rectangle(corners: Sequence[Coordinates]) -> Coordinates | None:
    """The box of four points, if they are its corners in any order."""
    points = [corner.points[0] for corner in corners]
    firsts, seconds = {point.first for point in points}, {point.second for point in points}
    if len({point[:2] for point in points}) != 4 or len(firsts) != 2 or len(seconds) != 2:
        return None
    if len({point.x_first for point in points}) != 1:
        return None
    low, high = min(points), max(points)
    box = _box_of_points(corners[points.index(low)], corners[points.index(high)])
    return box.plus(*(guess for corner in corners for guess in corner.guesses))


def _boxes_of_pairs(groups: Sequence[Group | None]) -> tuple[list[Coordinates], bool]:
    """Boxes of two points side by side, and whether other points are left over."""
    boxes, unpaired, run = list[Coordinates](), False, list[tuple[Coordinates, str | None]]()
    named = [
        (point, group.corner)
        for group in groups
        if group is not None and group.corner and (point := point_of(group))
    ]
    if len(named) > 1 and _OPPOSITE[str(named[-2][1])] == named[-1][1]:
        boxes = [
            _box_of_points(named[index - 1][0], named[index][0], any_corners=True)
            for index in range(len(named) - 1, 0, -2)
            if _OPPOSITE[str(named[index - 1][1])] == named[index][1]
        ]
        return boxes[::-1], False
    for group in (*groups, None):
        point = None if group is None else point_of(group)
        if point is not None and group is not None:
            run.append((point, group.corner))
            continue
        corners = [each for each, _ in run]
        rectangle = _rectangle(corners) if len(corners) == 4 else None
        if rectangle:
            boxes.append(rectangle)
        elif len(corners) % 2 == 0:
            boxes += [
                _box_of_points(first, second)
                for first, second in zip(corners[::2], corners[1::2], strict=True)
            ]
        else:
            unpaired = True
        run.clear()
    return boxes, unpaired


def _last_of(boxes: Sequence[Coordinates]) -> Coordinates | None:
    """The last box, with a guess if another one differs."""
    if not boxes:
        return None
    last = boxes[-1]
    if all(box.points == last.points for box in boxes):
        return last
    return last.plus(Guess.SEVERAL_ANSWERS)
