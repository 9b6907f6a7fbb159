"""Tables as LaTeX, with the packages booktabs and xcolor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maniplvm.evaluation.tables.model import Cell, Page, Row, Table
from maniplvm.text import one_line

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "·": r"$\cdot$",
}

_CONTINUES_A_LINE_END = ("[", "*")
"""After the end of a table line, LaTeX reads these as arguments of `\\\\`."""


def latex(page: Page, intervals: bool = False) -> str:
    """A page as `table*` environments: best values bold, published figures grey.

    Args:
        page: The tables.
        intervals: Whether each figure is followed by its 95 % interval.
    """
    lines = [r"% needs \usepackage{booktabs} and \usepackage{xcolor}"]
    lines += [f"% warning: {one_line(warning)}" for warning in page.warnings]
    for table in page.tables:
        lines += _environment(page, table, intervals)
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The text with LaTeX's special characters escaped, on one line."""
    line = "".join(_SPECIAL.get(character, character) for character in one_line(text))
    return "{}" + line if line.startswith(_CONTINUES_A_LINE_END) else line


def _environment(page: Page, table: Table, intervals: bool) -> Iterator[str]:
    warnings = [f"Warning: {warning}." for warning in page.warnings]
    notes = " ".join(escaped(note) for note in [*warnings, *page.notes])
    yield r"\begin{table*}"
    yield r"  \centering"
    yield r"  \footnotesize"
    yield r"  \setlength{\tabcolsep}{3pt}"
    yield rf"  \caption{{{escaped(f'{table.title}; {page.title}')}.}}"
    yield rf"  \begin{{tabular}}{{l{'r' * len(table.headings)}}}"
    yield r"    \toprule"
    for spans in (table.group_spans(), table.band_spans()):
        yield f"    {_spanning(spans)}"
        yield f"    {_rules(spans)}"
    yield f"    {_line(['model', *(escaped(h.label) for h in table.headings)])}"
    yield r"    \midrule"
    yield from _rows(table.rows, intervals)
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    yield r"  \par\smallskip"
    yield rf"  \parbox{{\linewidth}}{{\scriptsize {notes}}}"
    yield r"\end{table*}"


def _rows(rows: Sequence[Row], intervals: bool) -> Iterator[str]:
    measured = True
    for row in rows:
        if row.is_reference and measured:
            yield r"    \midrule"
        measured = not row.is_reference
        name = escaped(row.name)
        cells = [_grey(name) if row.is_reference else name]
        yield f"    {_line([*cells, *(_cell(cell, row, intervals) for cell in row.cells)])}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _spanning(spans: Sequence[tuple[str, int]]) -> str:
    return _line(["", *(rf"\multicolumn{{{width}}}{{c}}{{{escaped(n)}}}" for n, width in spans)])


def _rules(spans: Sequence[tuple[str, int]]) -> str:
    rules, start = list[str](), 2
    for _, width in spans:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return " ".join(rules)


def _cell(cell: Cell, row: Row, intervals: bool) -> str:
    if cell.value is None:
        return _grey("--") if row.is_reference else "--"
    text = cell.text.replace("-", "$-$") + ("*" if cell.clear else "")
    if cell.best:
        text = rf"\textbf{{{text}}}"
    if intervals and cell.span:
        text += rf" {{\scriptsize [{cell.span.replace('-', '$-$')}]}}"
    return _grey(text) if row.is_reference else text


def _grey(text: str) -> str:
    return rf"\textcolor{{gray}}{{{text}}}"
