"""The places in README and docs that are written by commands."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def pages() -> list[Path]:
    """Every page that may hold measured figures."""
    folders = ("docs", "datasets", "src")
    found = [page for folder in folders for page in (ROOT / folder).rglob("*.md")]
    return sorted([ROOT / "README.md", *found])


def fill(page: Path, source: str, text: str) -> None:
    """Put a text between `<!-- begin: SOURCE -->` and the next `<!-- end -->`.

    Args:
        page: The page.
        source: What the text is made from, such as `results/simulation.json`.
        text: Markdown.

    Raises:
        SystemExit: the page has no such place.
    """
    begin, end = f"<!-- begin: {source} -->", "<!-- end -->"
    before, begun, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{page}: has no place {begin} ... {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
