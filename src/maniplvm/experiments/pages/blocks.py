"""Generated blocks: the parts of a page between `<!-- begin: SOURCE -->` and `<!-- end -->`."""

from __future__ import annotations

from pathlib import Path

from maniplvm.errors import UserError


def fill_block(page: Path, source: str, text: str) -> None:
    """Replace the content of a generated block.

    Args:
        page: The Markdown page.
        source: Source of the block, such as `results/simulation.json`.
        text: Markdown.

    Raises:
        UserError: the page has no such block.
    """
    begin, end = f"<!-- begin: {source} -->", "<!-- end -->"
    before, begun, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise UserError(f"{page}: has no block {begin} ... {end}; add the two lines")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
