"""Formats that a page of tables can be written in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.evaluation.tables.formats.csv import comma_separated
from maniplvm.evaluation.tables.formats.html import html_page
from maniplvm.evaluation.tables.formats.latex import latex
from maniplvm.evaluation.tables.formats.markdown import markdown
from maniplvm.evaluation.tables.model import Page


def _json(page: Page, intervals: bool = False) -> str:
    """A page as plain data, which always holds the intervals."""
    del intervals
    return json.dumps(page.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


WRITERS: Mapping[str, Callable[[Page, bool], str]] = {
    "md": markdown,
    "tex": latex,
    "csv": comma_separated,
    "html": html_page,
    "json": _json,
}
"""What writes a page, with or without intervals, by the ending of its file."""


def format_of(path: Path | None, named: str | None) -> str | None:
    """The format that a file is written in: the one that is named, or its ending's.

    Raises:
        UserError: an unknown format or ending; the valid ones are listed.
    """
    if path is None and named is None:
        return None
    chosen = named or str(path and path.suffix).removeprefix(".")
    if chosen not in WRITERS:
        where = f"--format {named}" if named else f"--out {path}: its ending {chosen!r}"
        raise UserError(f"{where} is no format; choose from {', '.join(WRITERS)}")
    return chosen
