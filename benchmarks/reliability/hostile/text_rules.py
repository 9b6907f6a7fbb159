"""Rules that written tables must meet, whatever texts they hold. Each returns a fault or None."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from html.parser import HTMLParser

from maniplvm.evaluation.tables.model import Page

_COMMANDS = {
    *("begin", "end", "centering", "footnotesize", "setlength", "tabcolsep", "caption", "toprule"),
    *("midrule", "bottomrule", "cmidrule", "multicolumn", "textcolor", "textbf", "scriptsize"),
    *("par", "smallskip", "parbox", "linewidth", "textbackslash", "textasciicircum", "cdot"),
    *("textasciitilde", "textless", "textgreater", "textbar", "downarrow", "uparrow"),
    *("$", "&", "#", "_", "%", "{", "}", "\\"),
}
_ENVIRONMENTS = {"table*", "tabular"}
_TOKEN = re.compile(r"\\([A-Za-z]+|.|$)|([{}&%$^_#~])", re.DOTALL)
_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "p", "div", "table", "caption"),
    *("thead", "tbody", "tr", "td", "th", "span"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "rowspan", "scope", "colspan"),
    "title",
}


def hidden_character(text: str) -> str | None:
    """Whether a text holds a control or hidden character other than a line end or a tab."""
    for character in text:
        if character in "\n\t\u200c\u200d":
            continue
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return f"the character {character!r}"
    return None


def csv_fault(text: str, page: Page) -> str | None:
    """Fields that a spreadsheet would evaluate, and numbers that are no numbers any more."""
    if fault := hidden_character(text.replace("\r\n", "\n")):
        return fault
    lines = list(csv.reader(io.StringIO(text, newline="")))
    expected = sum(1 + len(t.rows) for t in page.tables) + len(page.tables) - 1
    if len(lines) != expected + len(page.warnings) + len(page.notes):
        return f"{len(lines)} lines"
    for line in lines:
        for place, field in enumerate(line):
            if field.lstrip().startswith(tuple("=+-@＝＋－＠")) and not _is_number(field):
                return f"a formula: {field!r}"
            if (
                place > 2
                and line[2] in ("measured", "published")
                and field
                and not _is_number(field)
            ):
                return f"no number: {field!r}"
    figures = [cell.value for table in page.tables for row in table.rows for cell in row.cells]
    read = [
        float(field) for line in lines if line[2:3] == ["measured"] for field in line[3:] if field
    ]
    return None if read == [value for value in figures if value is not None] else "other numbers"


def latex_fault(text: str, page: Page) -> str | None:
    """Commands, comments, cells or groups that a text brought in."""
    if fault := hidden_character(text):
        return fault
    depth, environments = 0, list[str]()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("%"):
            continue
        cells = 0
        after_end = number > 0 and lines[number - 1].rstrip().endswith("\\\\")
        if after_end and line.strip().startswith(("[", "*")):
            return f"an argument of a line end: {line!r}"
        for token in _TOKEN.finditer(line):
            command, character = token[1], token[2]
            if command is not None and command not in _COMMANDS:
                return f"the command \\{command}"
            if command in ("begin", "end"):
                environments.append(line[token.end() :].split("}")[0].strip("{"))
            depth += {"{": 1, "}": -1}.get(character or "", 0)
            cells += character == "&"
            if depth < 0 or (character or "") in ("%", "^", "_", "#", "~"):
                return f"a bare {character!r} in {line!r}"
        if line.rstrip().endswith("\\\\") and "multicolumn" not in line:
            columns = {len(table.headings) for table in page.tables}
            if cells not in columns:
                return f"{cells} cells in {line!r}"
    if depth or set(environments) - _ENVIRONMENTS:
        return f"unbalanced groups or environments: {set(environments)}"
    return None


def markdown_fault(text: str, page: Page) -> str | None:
    """Cells, links, tags, code or mentions that a text brought in."""
    if fault := hidden_character(text):
        return fault
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", text)
    rows = [line for line in plain.split("\n") if line.startswith("|")]
    columns = {line.count("|") for line in rows}
    if columns - {len(table.headings) + 2 for table in page.tables}:
        return f"rows with {columns} bars"
    found = re.search(r"<(?!br>)|`|\]\(|!\[|~~|(?<![&])#(?!\d+;)|[A-Za-z]://|@", plain)
    return (
        None if found is None else f"{found[0]!r} in {plain[max(0, found.start() - 40) :][:80]!r}"
    )


def html_fault(text: str, page: Page) -> str | None:
    """Elements or attributes that a text brought in."""
    if fault := hidden_character(text):
        return fault
    reader = _TagReader()
    reader.feed(text)
    rows = sum(len(table.rows) + 3 for table in page.tables)
    if reader.counts.get("tr", 0) != rows:
        return f"{reader.counts.get('tr')} rows, not {rows}"
    return reader.fault


class _TagReader(HTMLParser):
    """Records elements and attributes that our pages do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: str | None = None
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        strange = [name for name, _ in attrs if name not in _ATTRIBUTES]
        if tag not in _TAGS or strange:
            self.fault = f"<{tag} {strange}>"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?", text) is not None
