"""The table of docs/compare.md, from `results/simulator_table.json`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.evaluation.tables import WRITERS, Page
from maniplvm.experiments.pages.blocks import fill_block

SOURCE = "results/simulator_table.json"
PAGE = Path("docs") / "compare.md"


def markdown(content: dict[str, Any], tables: int | None = None) -> str:
    """The result as Markdown, with one table per group of columns.

    Args:
        content: Content of `results/simulator_table.json`.
        tables: Number of tables; None is all.
    """
    page = Page.from_json(content["page"])
    page = replace(page, tables=page.tables[:tables]).stacked()
    return WRITERS["md"](page, False).rstrip("\n")


def write_table(root: Path) -> list[str]:
    """Fill the block of the page.

    Args:
        root: The folder of the repository.

    Returns:
        The pages that were written.
    """
    content = json.loads((root / SOURCE).read_text(encoding="utf-8"))
    fill_block(root / PAGE, SOURCE, markdown(content))
    return [str(PAGE)]
