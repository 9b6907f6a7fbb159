"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from maniplvm.evaluation.tables.model import Cell, Heading, Page, Row, Table
from maniplvm.text import one_line

_SPECIAL = re.compile(r"([\\`*_\[\]|~#!$])")
_LINKS = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=\bwww)\.|@", re.IGNORECASE)
"""What GitHub turns into a link, or into a mention of a person."""


def markdown(page: Page, intervals: bool = False) -> str:
    """A page as Markdown: best values bold, published figures in italics.

    Args:
        page: The tables.
        intervals: Whether each figure is followed by its 95 % interval.
    """
    parts = [f"**Warning:** {escaped(warning)}" for warning in page.warnings]
    for table in page.tables:
        if len(page.tables) > 1:
            parts.append(f"**{escaped(_title(table))}**")
        parts.append("\n".join(_lines(table, intervals)))
    parts.append("\n".join(f"- {escaped(note)}" for note in page.notes))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """The text with Markdown's special characters escaped, on one line."""
    flat = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    plain = _SPECIAL.sub(r"\\\1", flat)
    return _LINKS.sub(lambda found: f"&#{ord(found[0])};", plain)


def _title(table: Table) -> str:
    spans = table.group_spans()
    return f"{spans[0][0]} · {table.title}" if len(spans) == 1 else table.title


def _lines(table: Table, intervals: bool) -> Iterator[str]:
    groups = len(table.group_spans()) > 1
    yield _row(["model", *(_heading(heading, groups) for heading in table.headings)])
    yield _row(["---", *("---:" for _ in table.headings)])
    for row in table.rows:
        name = f"*{escaped(row.name)}*" if row.is_reference else escaped(row.name)
        yield _row([name, *(_cell(cell, row, intervals) for cell in row.cells)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(heading: Heading, with_group: bool) -> str:
    levels = [heading.group] if with_group else []
    return "<br>".join(escaped(level) for level in [*levels, heading.band, heading.label])


def _cell(cell: Cell, row: Row, intervals: bool) -> str:
    if cell.value is None:
        return cell.text
    text = cell.text + ("\\*" if cell.clear else "")
    text = f"**{text}**" if cell.best else f"*{text}*" if row.is_reference else text
    return f"{text}<br>{cell.span}" if intervals and cell.span else text
