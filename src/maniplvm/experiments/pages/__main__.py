"""Write the generated parts of the documentation: `python -m maniplvm.experiments.pages [PAGE...]`.

Run it from the root of the repository. Without arguments it writes all parts except the image of
docs/shared-prefix.md, which needs torch. Pages: quickstart, simulation, simulator-table, shared-prefix,
evidence, numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.experiments.pages import evidence, numbers, quickstart, simulation, simulator_table
from maniplvm.experiments.pages.evidence_values import RESULTS, read_tiers


def write_numbers(root: Path) -> list[str]:
    """Update the measured numbers in the text of all pages."""
    tiers = read_tiers(root / RESULTS)
    return numbers.refresh(root, lambda query: evidence.evidence_value(tiers, query))


def write_shared_prefix(root: Path) -> list[str]:
    """Draw the image and fill the table of docs/shared-prefix.md."""
    from maniplvm.experiments.pages import shared_prefix

    return shared_prefix.write_page(root)


PAGES: dict[str, Callable[[Path], list[str]]] = {
    "quickstart": quickstart.write_tables,
    "simulation": simulation.write_block,
    "simulator-table": simulator_table.write_table,
    "shared-prefix": write_shared_prefix,
    "evidence": evidence.write_page,
    "numbers": write_numbers,
}


def main(names: list[str]) -> None:
    """Write the named pages, or all pages that do not need torch."""
    for name in names or [name for name in PAGES if name != "shared-prefix"]:
        if name not in PAGES:
            raise UserError(f"unknown page {name!r}; choose from {', '.join(PAGES)}")
        for path in PAGES[name](Path.cwd()):
            print(f"written: {path}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"maniplvm: {error}")
