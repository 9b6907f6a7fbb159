"""The file formats of a page of tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.evaluation.tables.formats.csv import csv_text
from maniplvm.evaluation.tables.formats.html import html_page
from maniplvm.evaluation.tables.formats.latex import latex
from maniplvm.evaluation.tables.formats.markdown import markdown
from maniplvm.evaluation.tables.model import Page


def _json(page: Page, intervals: bool = False) -> str:
    """A page as JSON in ASCII, which always holds the intervals."""
    del intervals
    return json.dumps(page.to_json(), indent=1, allow_nan=False) + "\n"


WRITERS: Mapping[str, Callable[[Page, bool], str]] = {
    "md": markdown,
    "tex": latex,
    "csv": csv_text,
    "html": html_page,
    "json": _json,
}
"""The function that writes a page, with or without intervals, by file suffix."""


def format_of(path: Path | None, named: str | None) -> str | None:
    """The format of a file: the given one, or that of its suffix.

    Raises:
        UserError: an unknown format or suffix; the valid ones are listed.
    """
    if path is None and named is None:
        return None
    chosen = named or str(path and path.suffix).removeprefix(".")
    if chosen not in WRITERS:
        where = f"--format {named}" if named else f"--out {path}: the suffix {chosen!r}"
        raise UserError(f"{where} is not a known format; choose from {', '.join(WRITERS)}")
    return chosen
