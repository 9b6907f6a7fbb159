"""Write the tables of docs/quickstart.md and the README from results/quickstart.json.

Run: python benchmarks/quickstart_page.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pages import ROOT, fill

SOURCE = "results/quickstart.json"
SPLITS = {
    "adapt_test": "`adapt_test`: the new tasks",
    "adapt_test_sampled": "the same, drawn at temperature 1",
    "id_test": "`id_test`: what it knew",
    "ood_tasks": "`ood_tasks`: tasks never seen",
    "ood_robot": "`ood_robot`: another robot",
}
MEASURES = {
    "iou": "box: IoU",
    "trace_reward": "trace: reward (of 4)",
    "dfd_diagonal": "trace: DFD / diagonal (less is better)",
    "execution": "trace: solves the task in physics",
}


def number(name: str, value: float, sign: str = "") -> str:
    """As it is shown: shares of executions as percent."""
    return f"{100 * value:{sign}.1f} %" if name == "execution" else f"{value:{sign}.3f}"


def change(name: str, difference: dict[str, Any]) -> str:
    """A difference with its interval."""
    scale, form = (100, "+.1f") if name == "execution" else (1, "+.3f")
    mean, low, high = (scale * difference[key] for key in ("mean", "low", "high"))
    return f"{mean:{form}} ({low:{form}} to {high:{form}})"


def rows(result: dict[str, Any], splits: list[str]) -> Iterator[str]:
    """One row for each split and measure."""
    yield "| | before | after RL from rewards | change (95 %) | control: SFT with labels | its change (95 %) |"
    yield "|---|---|---|---|---|---|"
    for split in splits:
        yield f"| **{SPLITS[split]}** | | | | | |"
        for name, heading in MEASURES.items():
            own, control = result["grpo"][split].get(name), result["sft"][split].get(name)
            if own is None:
                continue
            cells = [
                heading,
                number(name, own["before"]),
                f"**{number(name, own['after'])}**",
                change(name, own["difference"]),
                number(name, control["after"]),
                change(name, control["difference"]),
            ]
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Fill both pages."""
    result = json.loads((ROOT / SOURCE).read_text(encoding="utf-8"))
    fill(ROOT / "docs" / "quickstart.md", SOURCE, "\n".join(rows(result, list(SPLITS))))
    fill(ROOT / "README.md", SOURCE, "\n".join(rows(result, ["adapt_test", "id_test"])))


if __name__ == "__main__":
    main()
