"""What the columns of a comparison measure, and the values behind a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from maniplvm.errors import UserError
from maniplvm.evaluation.scored import ScoredSample
from maniplvm.evaluation.tables.model import Heading
from maniplvm.tasks import Task

Values: TypeAlias = Sequence[tuple[ScoredSample, float]]
"""The completions that count in a cell, each with its value."""

_BANDS: Mapping[Task | None, str] = {
    Task.AFFORDANCE: "box",
    Task.TRAJECTORY: "trace",
    Task.POINTING: "points",
    None: "all",
}


@dataclass(frozen=True)
class Column:
    """A measure.

    Attributes:
        key: A measure of the protocol, `execution` or `parse_rate`.
        task: Of these samples only; None takes all.
        text: What stands over the column.
        lower_is_better: The direction.
        scale: From the measure's unit to the one that is shown.
        decimals: How many are shown.
    """

    key: str
    task: Task | None
    text: str
    lower_is_better: bool = False
    scale: float = 100.0
    decimals: int = 1

    @property
    def id(self) -> str:
        """What tells it from every other column, such as `trajectory.success`."""
        return self.key if self.task is None else f"{self.task}.{self.key}"

    @property
    def band(self) -> str:
        """What the column's samples ask for."""
        return _BANDS[self.task]

    def heading(self, group: str) -> Heading:
        """What stands over it in a group of columns."""
        return Heading(group, self.band, self.text, self.lower_is_better)

    def values(self, samples: Iterable[ScoredSample], left_out: frozenset[Task]) -> Values:
        """The completions that count, each with its value in the unit that is shown.

        Args:
            samples: All completions.
            left_out: Tasks whose unreadable completions are left out instead of counted.
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
"""The shape of the paper's table, and pointing: protocol `maniplvm`."""


def find_column(name: str, columns: Sequence[Column]) -> Column:
    """The column of that key or id.

    Raises:
        UserError: there is none, or several; the valid ones are listed.
    """
    found = [column for column in columns if name in (column.key, column.id)]
    if len(found) != 1:
        problem = "names several columns" if found else "names no column"
        valid = ", ".join(column.id for column in columns)
        raise UserError(f"{name!r} {problem}; choose from {valid}")
    return found[0]
