"""Tables as CSV, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from maniplvm.evaluation.tables.model import Page, Row, Table
from maniplvm.text import one_line

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters that OWASP lists under "CSV injection", with the wide forms of East Asia."""


def csv_text(page: Page, intervals: bool = False) -> str:
    """A page as CSV (RFC 4180): each table is a line of headings and one line per row.

    Figures are not rounded. Warnings and notes follow as lines with one field that starts with `#`.

    Args:
        page: The tables, separated by empty lines.
        intervals: Whether each figure is followed by the ends of its 95 % interval and the number of
            samples.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for number, table in enumerate(page.tables):
        if number:
            writer.writerow([])
        writer.writerows(_lines(table, intervals))
    writer.writerows([[escaped(f"# warning: {warning}")] for warning in page.warnings])
    writer.writerows([[escaped(f"# {note}")] for note in page.notes])
    return text.getvalue()


def escaped(text: str) -> str:
    """The text on one line; an apostrophe keeps a spreadsheet from evaluating it as a formula."""
    line = one_line(text)
    return f"'{line}" if line.startswith(_STARTS_A_FORMULA) else line


def _lines(table: Table, intervals: bool) -> Iterator[list[str]]:
    headings = list[str]()
    for heading in table.headings:
        name = f"{heading.group} | {heading.band} | {heading.text}"
        headings += [name, *(f"{name} | {end}" for end in ("low", "high", "n") if intervals)]
    yield [escaped(text) for text in ("table", "model", "kind", *headings)]
    for row in table.rows:
        yield [escaped(table.title), escaped(row.name), _kind(row), *_cells(row, intervals)]


def _kind(row: Row) -> str:
    return "published" if row.is_reference else "measured"


def _cells(row: Row, intervals: bool) -> Iterator[str]:
    for cell in row.cells:
        yield _number(cell.value)
        if intervals:
            yield _number(cell.low)
            yield _number(cell.high)
            yield "" if cell.count is None else str(cell.count)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"
