"""Points in groups of numbers: the part that boxes and traces have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from maniplvm.tasks.parsing.groups import Group
from maniplvm.tasks.parsing.spelling import Percent, Pixels, Quoted
from maniplvm.tasks.parsing.status import Guess

_POINT_KEYS = ("point2d", "point")
_DECIMAL = r"\s*+[-+]?\d{1,6}+,\d{1,9}+\s*+"
_DECIMALS = re.compile(rf"{_DECIMAL}(?:;{_DECIMAL})++")


class Point(NamedTuple):
    """A pair of numbers as the model wrote them.

    Attributes:
        first: The first number.
        second: The second number.
        x_first: Whether x comes first because keys name the axes. The frame's order is then ignored.
    """

    first: float
    second: float
    x_first: bool = False


@dataclass(frozen=True)
class Coordinates:
    """An answer in the numbers of the model.

    Attributes:
        points: Pairs in the written order. A box has two corners.
        guesses: Assumptions of the reading.
        size_second: Whether the second pair is a width and a height.
        any_corners: Whether the text names the two corners, so their order says nothing.
    """

    points: Sequence[Point]
    guesses: frozenset[Guess] = frozenset()
    size_second: bool = False
    any_corners: bool = False

    def plus(self, *guesses: Guess) -> Coordinates:
        """The same answer with more guesses."""
        return Coordinates(
            self.points, self.guesses.union(guesses), self.size_second, self.any_corners
        )

    @property
    def numbers(self) -> list[float]:
        """All numbers in order."""
        return [number for point in self.points for number in point[:2]]


def pairs(numbers: Sequence[float], x_first: bool = False) -> list[Point]:
    """A flat list of numbers as points."""
    return [
        Point(first, second, x_first)
        for first, second in zip(numbers[::2], numbers[1::2], strict=True)
    ]


def point_of(group: Group) -> Coordinates | None:
    """A pair of numbers, bare, in an object, or with decimal commas."""
    guesses = {Guess.CUT_OFF} if group.cut_off else set[Guess]()
    if group.bracket == "{":
        for key in _POINT_KEYS:
            item = group.names.get(key)
            if isinstance(item, Group) and (point := point_of(item)):
                return point.plus(*guesses, *_repeated(group))
    named = named_numbers(group, ("x", "y"))
    if named:
        return Coordinates(pairs(named, True), frozenset(guesses.union(_repeated(group))))
    if group.bracket == "{":
        return None
    numbers = numbers_of(group, 2)
    if numbers:
        return Coordinates(pairs(numbers), frozenset(guesses))
    decimals = decimals_of(group, 2)
    if decimals:
        return Coordinates(pairs(decimals), frozenset({*guesses, Guess.DECIMAL_COMMA}))
    return None


def point_with_depth(group: Group) -> Coordinates | None:
    """The first two of three numbers, unless a comma may separate thousands, as in `1,200, 340`."""
    numbers = None if group.bracket == "{" else numbers_of(group, 3)
    if numbers is None or len(set(group.tight_commas)) > 1:
        return None
    return Coordinates(pairs(numbers[:2]), frozenset({Guess.DEPTH_IGNORED}))


def joined(points: Iterable[Coordinates]) -> Coordinates:
    """Several points as one list."""
    found = list(points)
    guesses = frozenset[Guess]().union(*(each.guesses for each in found))
    return Coordinates([point for each in found for point in each.points], guesses)


def numbers_of(group: Group, length: int) -> list[float] | None:
    """The content of a group of bare numbers of this length."""
    if group.has_words or group.names or len(group.items) != length:
        return None
    numbers = [item for item in group.items if isinstance(item, float)]
    return numbers if len(numbers) == length else None


def decimals_of(group: Group, length: int) -> list[float] | None:
    """Numbers with decimal commas between semicolons, such as `0,5; 0,25`."""
    if not group.raw or numbers_of(group, 2 * length) is None:
        return None
    if _DECIMALS.fullmatch(group.raw) is None:
        return None
    return [float(part.strip().replace(",", ".")) for part in group.raw.split(";")]


def named_numbers(group: Group, keys: Sequence[str]) -> list[float] | None:
    """The numbers with these keys, or None if one is missing."""
    numbers = [group.names.get(key) for key in keys]
    floats = [number for number in numbers if isinstance(number, float)]
    return floats if len(floats) == len(keys) else None


def has_numbers(groups: Iterable[Group | None]) -> bool:
    """Whether any group, at any depth, holds bare numbers only."""
    return any(
        group is not None
        and (
            bool(group.items and numbers_of(group, len(group.items)))
            or bool(named_numbers(group, ("x", "y")))
            or has_numbers(item for item in group.items if isinstance(item, Group))
        )
        for group in groups
    )


def _repeated(group: Group) -> tuple[Guess, ...]:
    return (Guess.SEVERAL_ANSWERS,) if group.named_twice else ()


def spelling_guesses(numbers: Sequence[float]) -> frozenset[Guess] | None:
    """Guesses that the spelling of the numbers needs; None if percent signs stand on some only."""
    percents = sum(isinstance(number, Percent) for number in numbers)
    if percents not in (0, len(numbers)):
        return None
    guesses = {Guess.PERCENT} if percents else set[Guess]()
    if any(isinstance(number, Pixels) for number in numbers):
        guesses.add(Guess.PIXEL_UNIT)
    if any(isinstance(number, Quoted) for number in numbers):
        guesses.add(Guess.QUOTED_NUMBERS)
    return frozenset(guesses)
