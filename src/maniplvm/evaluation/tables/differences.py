"""Paired differences between runs, as tables."""

from __future__ import annotations

from maniplvm.errors import UserError
from maniplvm.evaluation.statistics.comparison import paired_difference
from maniplvm.evaluation.tables.columns import Column, by_sample
from maniplvm.evaluation.tables.means import GroupColumn, TableValues
from maniplvm.evaluation.tables.model import Cell, Heading, Row, Table


def difference_table(table: TableValues, against: str) -> Table:
    """Every other run minus one run, in every column.

    Raises:
        UserError: no run has that name, or it is the only run.
    """
    if against not in table.runs:
        known = ", ".join(table.runs)
        raise UserError(f"no run is called {against!r}; choose from {known}")
    others = [name for name in table.runs if name != against]
    if not others:
        raise UserError(f"{against} is the only run; give another one to compare with it")
    rows = [
        Row(name, tuple(difference(table, against, name, column) for column in table.columns))
        for name in others
    ]
    headings = tuple(column.heading for column in table.columns)
    return Table(f"minus {against}, paired by sample", headings, tuple(rows))


def matrix_table(table: TableValues, column: Column) -> Table:
    """Every run (row) minus every other run (column) in one measure, for each group of splits."""
    headings, columns = list[Heading](), list[list[Cell]]()
    for own in (each for each in table.columns if each.column == column):
        for other in table.runs:
            heading = own.heading
            headings.append(Heading(heading.group, f"{heading.band}: {heading.label}", other))
            columns.append(
                [
                    Cell() if name == other else difference(table, other, name, own)
                    for name in table.runs
                ]
            )
    rows = [
        Row(name, tuple(cells[number] for cells in columns))
        for number, name in enumerate(table.runs)
    ]
    return Table("row minus column, paired by sample", tuple(headings), tuple(rows))


def difference(table: TableValues, before: str, after: str, column: GroupColumn) -> Cell:
    """One run minus another on their common samples; the draws of a sample are averaged."""
    first, second = table.values[before, column], table.values[after, column]
    own = paired_difference(
        by_sample(first),
        by_sample(second),
        {sample.id: sample.scene for sample, _ in second},
        table.seed,
    )
    decimals = column.column.decimals
    if own is None:
        return Cell(decimals=decimals, signed=True)
    change = own.difference
    return Cell(
        change.mean,
        change.low,
        change.high,
        own.pairs,
        decimals,
        signed=True,
        clear=own.is_clear,
    )
