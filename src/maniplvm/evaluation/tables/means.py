"""The values of every cell, and the table of means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maniplvm.evaluation.statistics.intervals import bootstrap_mean
from maniplvm.evaluation.tables.columns import Column, TableSpec, Values
from maniplvm.evaluation.tables.groups import Group
from maniplvm.evaluation.tables.model import Cell, Heading, Row, Table
from maniplvm.evaluation.tables.runs import Run


@dataclass(frozen=True)
class GroupColumn:
    """A column of a table for one group of splits.

    Attributes:
        group: The group of splits.
        column: The column.
    """

    group: Group
    column: Column

    @property
    def heading(self) -> Heading:
        """The heading."""
        return self.column.heading(self.group.name)


@dataclass(frozen=True)
class TableValues:
    """The values of every cell.

    Attributes:
        runs: The names of the runs, in order.
        columns: The columns in which at least one run has values.
        values: Values by run and column.
        seed: Seed of every bootstrap.
    """

    runs: tuple[str, ...]
    columns: tuple[GroupColumn, ...]
    values: Mapping[tuple[str, GroupColumn], Values]
    seed: int


def collect_values(
    runs: Sequence[Run],
    groups: Sequence[Group],
    spec: TableSpec,
    seed: int,
) -> TableValues:
    """Collect the values of every run in every column and group of splits."""
    values: dict[tuple[str, GroupColumn], Values] = {}
    for group in groups:
        for run in runs:
            own = [sample for sample in run.samples if sample.split in group.splits]
            for column in spec.columns:
                values[run.name, GroupColumn(group, column)] = column.values(own, spec.left_out)
    names = tuple(run.name for run in runs)
    all_columns = [GroupColumn(group, column) for group in groups for column in spec.columns]
    filled = (column for column in all_columns if any(values[name, column] for name in names))
    return TableValues(names, tuple(filled), values, seed)


def means_table(table: TableValues, references: Iterable[Row] = ()) -> Table:
    """A row for each run with the best value of each column marked, then the reference rows.

    No value is marked if all runs show the same.
    """
    columns = [_column(table, column) for column in table.columns]
    own = [
        Row(name, tuple(column[number] for column in columns))
        for number, name in enumerate(table.runs)
    ]
    headings = tuple(column.heading for column in table.columns)
    return Table("means", headings, (*own, *references))


def _column(table: TableValues, column: GroupColumn) -> list[Cell]:
    """The cells of a column; the rounded values decide, so that equal ones are both marked."""
    cells = [_mean(table, name, column) for name in table.runs]
    shown = {cell.text for cell in cells if cell.value is not None}
    if len(shown) < 2:
        return cells
    best = (min if column.column.lower_is_better else max)(shown, key=float)
    return [replace(cell, best=cell.text == best) for cell in cells]


def _mean(table: TableValues, name: str, column: GroupColumn) -> Cell:
    values, decimals = table.values[name, column], column.column.decimals
    if not values:
        return Cell(decimals=decimals)
    scenes = [sample.scene for sample, _ in values]
    own = bootstrap_mean([value for _, value in values], groups=scenes, seed=table.seed)
    return Cell(own.mean, own.low, own.high, own.count, decimals)
