"""Write the measured value into every marked figure of README and docs.

A mark is a comment behind a number: `25.3x<!-- rewards_speed.json batch_512.ratio -->`, with ` %`
at its end where the number is a percentage. The number keeps its decimals.

Run: python benchmarks/figures.py
"""

from __future__ import annotations

import json
import re
from typing import Any

from pages import ROOT, pages

MARKED = re.compile(
    r"(?P<number>[+-]?[\d,]*\.?\d+)(?P<unit>\s?(?:%|x|×|s|MB)?)"
    r"<!-- (?P<file>\S+\.json) (?P<key>\S+?)(?P<percent> %)? -->"
)


def measured(file: str, key: str) -> float:
    """The value that a mark names.

    Raises:
        SystemExit: it was not measured yet.
    """
    if not (ROOT / "results" / file).exists():
        raise SystemExit(f"results/{file} is missing; run its benchmark first (make help)")
    value: Any = json.loads((ROOT / "results" / file).read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return float(value)


def rewritten(match: re.Match[str]) -> str:
    """A mark with its number brought up to date."""
    shown = match["number"]
    value = measured(match["file"], match["key"]) * (100 if match["percent"] else 1)
    decimals = len(shown.partition(".")[2])
    sign = "+" if shown[0] == "+" else ""
    number = f"{value:{sign}{',' if ',' in shown else ''}.{decimals}f}"
    if shown.lstrip("+-").startswith("."):
        number = re.sub(r"^([+-]?)0\.", r"\1.", number)
    return match[0].replace(shown, number, 1)


def main() -> None:
    """Rewrite the pages in place."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fresh = MARKED.sub(rewritten, text)
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: updated")


if __name__ == "__main__":
    main()
