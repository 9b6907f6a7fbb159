"""One figure of a protocol: its unit, its direction, and what an unreadable answer counts as."""

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
    """A figure that a protocol takes of every answer.

    Attributes:
        name: Its key in `samples.jsonl` and `evaluation.json`.
        meaning: One phrase.
        unit: `share` (0 to 1), `px`, `1/1000`, `sides` or `diagonals`.
        frame: In which coordinates it is taken.
        lower_is_better: The direction.
        worst: What an answer that could not be read counts as, by sample.
    """

    name: str
    meaning: str
    unit: str
    frame: str
    lower_is_better: bool
    worst: Callable[[Sample], float]

    def to_json(self) -> dict[str, Any]:
        """As `evaluation.json` describes it; `range` has no upper end for a distance."""
        return {
            "meaning": self.meaning,
            "unit": self.unit,
            "frame": self.frame,
            "better": "lower" if self.lower_is_better else "higher",
            "range": [0, None if self.lower_is_better else 1],
        }


def share(name: str, meaning: str) -> Measure:
    """A part of 1, more is better; an unreadable answer has none of it."""
    return Measure(name, meaning, "share", NONE, False, lambda _: 0.0)


def pixels(name: str, meaning: str) -> Measure:
    """A distance [px of the original image]; an unreadable answer is one diagonal off."""
    return Measure(name, meaning, "px", PIXELS, True, lambda sample: sample.diagonal)


def thousandths(name: str, meaning: str) -> Measure:
    """A distance where each side is 1000 long; an unreadable answer is one diagonal off."""
    return Measure(name, meaning, "1/1000", THOUSAND, True, lambda _: 1000.0 * float(np.sqrt(2)))


def sides(name: str, meaning: str) -> Measure:
    """A distance where each side is 1 long; an unreadable answer is one diagonal off."""
    return Measure(name, meaning, "sides", UNIT, True, lambda _: float(np.sqrt(2)))


def diagonals(name: str, meaning: str) -> Measure:
    """A distance in diagonals of the original image; an unreadable answer is one off."""
    return Measure(name, meaning, "diagonals", DIAGONAL, True, lambda _: 1.0)
