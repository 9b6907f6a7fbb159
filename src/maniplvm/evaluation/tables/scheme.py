"""What an evaluation's protocol measures, as its own `evaluation.json` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols import MANIPLVM, Habit, resolve_protocol
from maniplvm.evaluation.results import Evaluation
from maniplvm.evaluation.tables.columns import PAPER, Column
from maniplvm.tasks import Task

READINGS = ("strict", "published")
"""What a completion that cannot be read counts as: the worst, or what the protocol's habit says."""

_SHOWN: Mapping[str, tuple[float, int]] = {
    "share": (100.0, 1),
    "px": (1.0, 1),
    "1/1000": (1.0, 1),
    "sides": (1.0, 3),
    "diagonals": (1.0, 3),
}
"""Scale and decimals by the unit of a measure."""


@dataclass(frozen=True)
class Scheme:
    """How a protocol's figures are shown.

    Attributes:
        protocol: Its name.
        reading: One of `READINGS`.
        columns: What it measures, in order.
        left_out: Tasks whose unreadable completions do not count in this reading.
    """

    protocol: str
    reading: str
    columns: tuple[Column, ...]
    left_out: frozenset[Task]

    @classmethod
    def of(cls, evaluation: Evaluation, reading: str) -> Scheme:
        """The paper's columns for its own protocol, every measure of any other.

        Raises:
            UserError: an unknown reading, or an evaluation that does not describe its protocol and
                whose protocol is not known either.
        """
        if reading not in READINGS:
            raise UserError(f"unknown reading {reading!r}; choose from {', '.join(READINGS)}")
        name = evaluation.protocol
        tasks = evaluation.measures or resolve_protocol(name).describe()
        left_out = [
            Task(task) for task, own in tasks.items() if own["published_habit"] == Habit.LEFT_OUT
        ]
        return cls(
            name,
            reading,
            PAPER if name == MANIPLVM.name else tuple(_columns(tasks)),
            frozenset(left_out if reading == "published" else ()),
        )


def _columns(tasks: Mapping[str, Any]) -> Iterator[Column]:
    """Every measure, then what is known under every protocol."""
    keys = list[str]()
    for task, own in tasks.items():
        for key, measure in own["values"].items():
            scale, decimals = _SHOWN.get(measure["unit"], (1.0, 3))
            text = key if measure["unit"] == "share" else f"{key} ({measure['unit']})"
            lower = measure["better"] == "lower"
            keys.append(key)
            yield Column(key, Task(task), text, lower, scale, decimals)
    yield from (c for c in PAPER if c.key in ("execution", "parse_rate") and c.key not in keys)
