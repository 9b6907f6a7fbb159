"""Paired differences between runs, as tables."""

from __future__ import annotations

from maniplvm.errors import UserError
from maniplvm.evaluation.statistics.comparison import paired_difference
from maniplvm.evaluation.tables.columns import Column, by_sample
from maniplvm.evaluation.tables.means import Measured, Place
from maniplvm.evaluation.tables.model import Cell, Heading, Row, Table


def difference_table(measured: Measured, against: str) -> Table:
    """Every other run minus one of them, in every column.

    Raises:
        UserError: no run has that name, or there is no other.
    """
    if against not in measured.runs:
        known = ", ".join(measured.runs)
        raise UserError(f"no run is called {against!r}; choose from {known}")
    others = [name for name in measured.runs if name != against]
    if not others:
        raise UserError(f"{against} is the only run; name another one to compare with it")
    rows = [
        Row(name, tuple(difference(measured, against, name, place) for place in measured.places))
        for name in others
    ]
    headings = tuple(place.heading for place in measured.places)
    return Table(f"minus {against}, paired by sample", headings, tuple(rows))


def matrix_table(measured: Measured, column: Column) -> Table:
    """Every run (row) minus every other (column) in one measure, for each group of splits."""
    places = [place for place in measured.places if place.column == column]
    headings, columns = list[Heading](), list[list[Cell]]()
    for place in places:
        for other in measured.runs:
            heading = place.heading
            headings.append(Heading(heading.group, f"{heading.band}: {heading.label}", other))
            columns.append(
                [
                    Cell() if name == other else difference(measured, other, name, place)
                    for name in measured.runs
                ]
            )
    rows = [
        Row(name, tuple(column[number] for column in columns))
        for number, name in enumerate(measured.runs)
    ]
    return Table("row minus column, paired by sample", tuple(headings), tuple(rows))


def difference(measured: Measured, before: str, after: str, place: Place) -> Cell:
    """One run minus another on the samples that both have, draws averaged."""
    first, second = measured.values[before, place], measured.values[after, place]
    own = paired_difference(
        by_sample(first),
        by_sample(second),
        {sample.id: sample.scene for sample, _ in second},
        measured.seed,
    )
    decimals = place.column.decimals
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
