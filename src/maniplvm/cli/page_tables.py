"""Comparison tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from maniplvm.evaluation.tables import Cell, Heading, Page, Table

_LABEL_WIDTH = 8
_MAX_WIDTH = 10_000


def print_page(console: Console, page: Page, intervals: bool = False) -> None:
    """Print warnings, a table for each group of columns, and notes.

    A table that is wider than the terminal is split between bands.
    """
    for warning in page.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    for table in page.stacked().tables:
        for part in _fitting(table, console, intervals):
            console.print(_table(part, intervals))
    for note in page.notes:
        console.print(Text(note, style="dim"))


def _fitting(table: Table, console: Console, intervals: bool) -> Iterator[Table]:
    start = end = 0
    for band in table.bands():
        longer = table.columns(range(start, end + len(band.headings)))
        if start < end and _width(console, _table(longer, intervals)) > console.width:
            yield table.columns(range(start, end))
            start = end
        end += len(band.headings)
    yield table.columns(range(start, end))


def _width(console: Console, table: TerminalTable) -> int:
    unlimited = console.options.update(max_width=_MAX_WIDTH)
    return console.measure(table, options=unlimited).maximum


def _table(table: Table, intervals: bool) -> TerminalTable:
    """A terminal table. A narrow terminal wraps names, but not numbers."""
    group = table.headings[0].group
    shown = TerminalTable(
        title=Text(f"{group} · {table.title}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        pad_edge=False,
    )
    shown.add_column("", overflow="fold")
    for heading in table.headings:
        shown.add_column(_heading(heading), justify="right", no_wrap=True)
    measured = True
    for row in table.rows:
        if row.is_reference and measured:
            shown.add_section()
        measured = not row.is_reference
        cells = zip(table.headings, row.cells, strict=True)
        shown.add_row(
            Text(row.name),
            *(_cell(heading, cell, intervals) for heading, cell in cells),
            style="bright_black" if row.is_reference else None,
        )
    return shown


def _heading(heading: Heading) -> Text:
    lines = [*wrap(heading.band, _LABEL_WIDTH), *wrap(heading.label, _LABEL_WIDTH)]
    return Text("\n".join(lines))


def _cell(heading: Heading, cell: Cell, intervals: bool) -> Text:
    text = Text(cell.text, style="bold" if cell.best else "")
    if cell.clear and cell.value is not None:
        text.append("*", style=_difference_style(heading, cell.value))
    if intervals and cell.span:
        text.append("\n" + cell.span.replace(" to ", " to\n"), style="dim")
    return text


def _difference_style(heading: Heading, difference: float) -> str:
    """Green for better, red for worse, plain if neither direction is better."""
    if heading.lower_is_better is None:
        return ""
    return "green" if (difference < 0) == heading.lower_is_better else "red"
