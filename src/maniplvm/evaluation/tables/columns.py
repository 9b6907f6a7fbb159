"""The columns of a comparison table, and the values of each cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeAlias

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols import MANIPLVM, UnreadablePolicy, resolve_protocol
from maniplvm.evaluation.records import Evaluation, ScoredSample
from maniplvm.evaluation.tables.model import Heading
from maniplvm.tasks import Task

Values: TypeAlias = Sequence[tuple[ScoredSample, float]]
"""The completions of a cell, each with its value."""

_BANDS: Mapping[Task | None, str] = {
    Task.AFFORDANCE: "box",
    Task.TRAJECTORY: "trace",
    Task.POINTING: "points",
    None: "all",
}


@dataclass(frozen=True)
class Column:
    """A measure of a table.

    Attributes:
        key: A measure of the protocol, `execution` or `parse_rate`.
        task: The task of its samples; None takes all.
        text: The heading.
        lower_is_better: Whether a lower value is better.
        scale: Factor from the measure's unit to the shown unit.
        decimals: Number of shown decimals.
    """

    key: str
    task: Task | None
    text: str
    lower_is_better: bool = False
    scale: float = 100.0
    decimals: int = 1

    @property
    def id(self) -> str:
        """Its unique id, such as `trajectory.success`."""
        return self.key if self.task is None else f"{self.task}.{self.key}"

    @property
    def band(self) -> str:
        """The type of answer, as the heading above the column."""
        return _BANDS[self.task]

    def heading(self, group: str) -> Heading:
        """Its heading in a group of columns."""
        return Heading(group, self.band, self.text, self.lower_is_better)

    def values(self, samples: Iterable[ScoredSample], left_out: frozenset[Task]) -> Values:
        """The completions of the column, each with its value in the shown unit.

        Args:
            samples: All completions.
            left_out: Tasks whose unparsed completions are left out instead of counted.
        """
        found = list[tuple[ScoredSample, float]]()
        for sample in samples:
            value = self._value(sample, left_out)
            if value is not None:
                found.append((sample, self.scale * value))
        return found

    def _value(self, sample: ScoredSample, left_out: frozenset[Task]) -> float | None:
        if self.task is not None and sample.task is not self.task:
            return None
        if self.key == "parse_rate":
            return float(sample.parsed) if sample.answered else None
        if self.key == "execution":
            return None if sample.execution is None else float(sample.execution.success)
        if sample.task in left_out and not sample.parsed:
            return None
        return sample.measures.get(self.key)


def by_sample(values: Values) -> dict[str, float]:
    """The mean over the draws of each sample, by id."""
    draws: dict[str, list[float]] = {}
    for sample, value in values:
        draws.setdefault(sample.id, []).append(value)
    return {id: fmean(own) for id, own in draws.items()}


PAPER = (
    Column("iou", Task.AFFORDANCE, "IoU", decimals=2),
    Column("success", Task.AFFORDANCE, "IoU > .5"),
    Column("dfd_1000", Task.TRAJECTORY, "DFD", True, scale=1),
    Column("hd_1000", Task.TRAJECTORY, "HD", True, scale=1),
    Column("rmse_1000", Task.TRAJECTORY, "RMSE", True, scale=1),
    Column("avg_1000", Task.TRAJECTORY, "avg", True, scale=1),
    Column("success", Task.TRAJECTORY, "end < 20 px"),
    Column("execution", Task.TRAJECTORY, "executed"),
    Column("inside", Task.POINTING, "inside"),
    Column("parse_rate", None, "parsed"),
)
"""The columns of the paper's table, and pointing: protocol `maniplvm`."""


def find_column(name: str, columns: Sequence[Column]) -> Column:
    """The column with that key or id.

    Raises:
        UserError: no column or several match; the valid ids are listed.
    """
    found = [column for column in columns if name in (column.key, column.id)]
    if len(found) != 1:
        problem = "matches several columns" if found else "matches no column"
        valid = ", ".join(column.id for column in columns)
        raise UserError(f"{name!r} {problem}; choose from {valid}")
    return found[0]


READINGS = ("strict", "published")
"""How an unparsed completion counts: as the worst, or as in the protocol's published figures."""

_SHOWN: Mapping[str, tuple[float, int]] = {
    "share": (100.0, 1),
    "px": (1.0, 1),
    "1/1000": (1.0, 1),
    "sides": (1.0, 3),
    "diagonals": (1.0, 3),
}
"""Scale and decimals by the unit of a measure."""


@dataclass(frozen=True)
class TableSpec:
    """The columns of a protocol's table.

    Attributes:
        protocol: The protocol's name.
        reading: One of `READINGS`.
        columns: The columns, in order.
        left_out: Tasks whose unparsed completions are left out in this reading.
    """

    protocol: str
    reading: str
    columns: tuple[Column, ...]
    left_out: frozenset[Task]

    @classmethod
    def of(cls, evaluation: Evaluation, reading: str) -> TableSpec:
        """The paper's columns for protocol `maniplvm`, and every measure for other protocols.

        Raises:
            UserError: an unknown reading, or an unknown protocol that the evaluation does not
                describe.
        """
        if reading not in READINGS:
            raise UserError(f"unknown reading {reading!r}; choose from {', '.join(READINGS)}")
        name = evaluation.protocol
        tasks = evaluation.measures or resolve_protocol(name).describe()
        left_out = [
            Task(task)
            for task, own in tasks.items()
            if own["published_habit"] == UnreadablePolicy.LEFT_OUT
        ]
        return cls(
            name,
            reading,
            PAPER if name == MANIPLVM.name else tuple(_columns(tasks)),
            frozenset(left_out if reading == "published" else ()),
        )


def _columns(tasks: Mapping[str, Any]) -> Iterator[Column]:
    """Every measure of the protocol, then the columns that every protocol has."""
    keys = list[str]()
    for task, own in tasks.items():
        for key, measure in own["values"].items():
            scale, decimals = _SHOWN.get(measure["unit"], (1.0, 3))
            text = key if measure["unit"] == "share" else f"{key} ({measure['unit']})"
            lower = measure["better"] == "lower"
            keys.append(key)
            yield Column(key, Task(task), text, lower, scale, decimals)
    yield from (c for c in PAPER if c.key in ("execution", "parse_rate") and c.key not in keys)
