"""A measure of a protocol: its unit, its direction, and its worst value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.tasks import Sample

PIXELS = "pixels of the original image"
THOUSAND = "each side of the image scaled to 1000"
UNIT = "each side of the image scaled to 1"
DIAGONAL = "the original image's diagonal"
NONE = "none"


@dataclass(frozen=True)
class Measure:
    """A measure that a protocol computes for every answer.

    Attributes:
        name: Its key in `samples.jsonl` and `evaluation.json`.
        meaning: Its meaning in one phrase.
        unit: `share` (0 to 1), `px`, `1/1000`, `sides` or `diagonals`.
        frame: The coordinates in which it is computed.
        lower_is_better: Whether a lower value is better.
        worst: Gives the value of an answer that could not be parsed, for a sample.
    """

    name: str
    meaning: str
    unit: str
    frame: str
    lower_is_better: bool
    worst: Callable[[Sample], float]

    def to_json(self) -> dict[str, Any]:
        """The description in `evaluation.json`; `range` has no upper end for a distance."""
        return {
            "meaning": self.meaning,
            "unit": self.unit,
            "frame": self.frame,
            "better": "lower" if self.lower_is_better else "higher",
            "range": [0, None if self.lower_is_better else 1],
        }


def share(name: str, meaning: str) -> Measure:
    """A share (0 to 1), higher is better; an unparsed answer gets 0."""
    return Measure(name, meaning, "share", NONE, False, lambda _: 0.0)


def pixels(name: str, meaning: str) -> Measure:
    """A distance [px of the original image]; an unparsed answer gets one diagonal."""
    return Measure(name, meaning, "px", PIXELS, True, lambda sample: sample.diagonal)


def thousandths(name: str, meaning: str) -> Measure:
    """A distance with each side scaled to 1000; an unparsed answer gets one diagonal."""
    return Measure(name, meaning, "1/1000", THOUSAND, True, lambda _: 1000.0 * float(np.sqrt(2)))


def sides(name: str, meaning: str) -> Measure:
    """A distance with each side scaled to 1; an unparsed answer gets one diagonal."""
    return Measure(name, meaning, "sides", UNIT, True, lambda _: float(np.sqrt(2)))


def diagonals(name: str, meaning: str) -> Measure:
    """A distance in diagonals of the original image; an unparsed answer gets 1."""
    return Measure(name, meaning, "diagonals", DIAGONAL, True, lambda _: 1.0)
