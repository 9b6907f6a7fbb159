"""Tables as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from maniplvm.evaluation.tables.model import Cell, Heading, Page, Row, Table
from maniplvm.text import visible

_STYLE = """
:root { color-scheme: light dark; --ink: #22262b; --soft: #6a717a; --line: #ddd9d1; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e4dd; --soft: #9aa1aa; --line: #30363d; --paper: #14171a; }
}
body { margin: 2rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.2rem; }
.scroll { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; font-weight: 400; }
th[scope=row], thead th[scope=col]:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper); }
th[scope=colgroup] { text-align: center; border-bottom: 1px solid var(--line); }
thead { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody { border-bottom: 2px solid var(--ink); }
.published { color: var(--soft); font-style: italic; }
.published-first > * { border-top: 1px solid var(--line); }
.best { font-weight: 700; }
.span { display: block; color: var(--soft); font-size: .75rem; font-weight: 400; }
.warning { border-left: 4px solid #c25100; padding-left: .7rem; max-width: 68ch; }
.note { color: var(--soft); max-width: 68ch; font-size: .9rem; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_page(page: Page, intervals: bool = False) -> str:
    """A page as HTML without scripts or network requests: best values bold, published figures grey.

    Args:
        page: The tables.
        intervals: Whether each figure shows its 95 % interval, which is always its tooltip.
    """
    body = [f"<h1>{escaped(page.title)}</h1>"]
    body += [f'<p class="warning">{escaped(warning)}</p>' for warning in page.warnings]
    for table in page.tables:
        body += _table(table, intervals)
    body += [f'<p class="note">{escaped(note)}</p>' for note in page.notes]
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(page.title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The visible text, for an element or a quoted attribute."""
    return html.escape(visible(text))


def _table(table: Table, intervals: bool) -> Iterator[str]:
    yield f'<div class="scroll"><table><caption>{escaped(table.title)}</caption>'
    yield "<thead>"
    yield f"<tr><td rowspan=2></td>{_spanning(table.group_spans())}</tr>"
    yield f"<tr>{_spanning(table.band_spans())}</tr>"
    yield f'<tr><th scope="col">model</th>{"".join(map(_heading, table.headings))}</tr>'
    yield "</thead>"
    yield "<tbody>"
    measured = True
    for row in table.rows:
        first, measured = row.is_reference and measured, not row.is_reference
        yield _row(row, first, intervals)
    yield "</tbody></table></div>"


def _spanning(spans: Sequence[tuple[str, int]]) -> str:
    return "".join(
        f'<th scope="colgroup" colspan="{width}">{escaped(name)}</th>' for name, width in spans
    )


def _heading(heading: Heading) -> str:
    return f'<th scope="col">{escaped(heading.label)}</th>'


def _row(row: Row, first_reference: bool, intervals: bool) -> str:
    classes = ["published"] * row.is_reference + ["published-first"] * first_reference
    opening = f'<tr class="{" ".join(classes)}">' if classes else "<tr>"
    cells = "".join(_cell(cell, intervals) for cell in row.cells)
    return f'{opening}<th scope="row">{escaped(row.name)}</th>{cells}</tr>'


def _cell(cell: Cell, intervals: bool) -> str:
    best = ' class="best"' if cell.best else ""
    if not cell.span:
        return f"<td{best}>{escaped(cell.text)}</td>"
    text = escaped(cell.text) + ("*" if cell.clear else "")
    tooltip = f"{cell.span}, n = {cell.count}"
    below = f'<span class="span">{escaped(cell.span)}</span>' if intervals else ""
    return f'<td{best} title="{escaped(tooltip)}">{text}{below}</td>'
