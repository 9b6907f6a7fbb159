"""The values behind every cell, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maniplvm.evaluation.statistics.intervals import bootstrap_mean
from maniplvm.evaluation.tables.columns import Column, Values
from maniplvm.evaluation.tables.groups import Group
from maniplvm.evaluation.tables.model import Cell, Heading, Row, Table
from maniplvm.evaluation.tables.runs import Run
from maniplvm.evaluation.tables.scheme import Scheme


@dataclass(frozen=True)
class Place:
    """A column of a table: a measure on some splits.

    Attributes:
        group: The splits.
        column: The measure.
    """

    group: Group
    column: Column

    @property
    def heading(self) -> Heading:
        """What stands over it."""
        return self.column.heading(self.group.name)


@dataclass(frozen=True)
class Measured:
    """What runs came to.

    Attributes:
        runs: Their names, in order.
        places: Where at least one of them has values.
        values: By name and place.
        seed: Of every bootstrap.
    """

    runs: tuple[str, ...]
    places: tuple[Place, ...]
    values: Mapping[tuple[str, Place], Values]
    seed: int


def measure(
    runs: Sequence[Run],
    groups: Sequence[Group],
    scheme: Scheme,
    seed: int,
) -> Measured:
    """Collect every run's values in every column of every group of splits."""
    values: dict[tuple[str, Place], Values] = {}
    for group in groups:
        for run in runs:
            own = [sample for sample in run.samples if sample.split in group.splits]
            for column in scheme.columns:
                values[run.name, Place(group, column)] = column.values(own, scheme.left_out)
    names = tuple(run.name for run in runs)
    there = [Place(group, column) for group in groups for column in scheme.columns]
    filled = (place for place in there if any(values[name, place] for name in names))
    return Measured(names, tuple(filled), values, seed)


def means_table(measured: Measured, references: Iterable[Row] = ()) -> Table:
    """A row for each run, the best of each column marked, and references below.

    Where all runs show the same, none is the best.
    """
    columns = [_column(measured, place) for place in measured.places]
    own = [
        Row(name, tuple(column[number] for column in columns))
        for number, name in enumerate(measured.runs)
    ]
    headings = tuple(place.heading for place in measured.places)
    return Table("means", headings, (*own, *references))


def _column(measured: Measured, place: Place) -> list[Cell]:
    """What is shown decides which is best, so that equal figures are both marked."""
    cells = [_mean(measured, name, place) for name in measured.runs]
    shown = {cell.text for cell in cells if cell.value is not None}
    if len(shown) < 2:
        return cells
    best = (min if place.column.lower_is_better else max)(shown, key=float)
    return [replace(cell, best=cell.text == best) for cell in cells]


def _mean(measured: Measured, name: str, place: Place) -> Cell:
    values, column = measured.values[name, place], place.column
    if not values:
        return Cell(decimals=column.decimals)
    scenes = [sample.scene for sample, _ in values]
    own = bootstrap_mean([value for _, value in values], groups=scenes, seed=measured.seed)
    return Cell(own.mean, own.low, own.high, own.count, column.decimals)
