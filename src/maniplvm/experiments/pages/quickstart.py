"""The tables of docs/quickstart.md and of the README, from `results/quickstart.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maniplvm.experiments.pages.blocks import fill_block

SOURCE = "results/quickstart.json"
SPLITS = {
    "adapt_test": "`adapt_test`: new tasks",
    "adapt_test_sampled": "the same, sampled at temperature 1",
    "id_test": "`id_test`: pretraining tasks",
    "ood_tasks": "`ood_tasks`: unseen tasks",
    "ood_robot": "`ood_robot`: another robot",
}
README_SPLITS = {"adapt_test": "new tasks", "id_test": "pretraining tasks"}
MEASURES = {
    "iou": "box: IoU",
    "trace_reward": "trace: reward (of 4)",
    "dfd_diagonal": "trace: DFD / diagonal (lower is better)",
    "execution": "trace: solves the task in physics",
}


def number(name: str, value: float, sign: str = "") -> str:
    """A value as a string; success rates in percent."""
    return f"{100 * value:{sign}.1f} %" if name == "execution" else f"{value:{sign}.3f}"


def change(name: str, difference: dict[str, Any]) -> str:
    """A difference with its interval."""
    scale, form = (100, "+.1f") if name == "execution" else (1, "+.3f")
    mean, low, high = (scale * difference[key] for key in ("mean", "low", "high"))
    return f"{mean:{form}} ({low:{form}} to {high:{form}})"


def rows(result: dict[str, Any], splits: list[str]) -> Iterator[str]:
    """One row for each split and measure."""
    yield "| | before | after GRPO | change (95 %) | control: SFT | its change (95 %) |"
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


def readme_rows(result: dict[str, Any]) -> Iterator[str]:
    """The short table of the README: two splits, without the rows on trace rewards."""
    yield "| | before | after GRPO | change (95 %) | control: SFT |"
    yield "|---|---|---|---|---|"
    for split in ("adapt_test", "id_test"):
        for name in ("iou", "dfd_diagonal", "execution"):
            own, control = result["grpo"][split][name], result["sft"][split][name]
            cells = [
                f"{README_SPLITS[split]}, {MEASURES[name]}",
                number(name, own["before"]),
                f"**{number(name, own['after'])}**",
                change(name, own["difference"]),
                number(name, control["after"]),
            ]
            yield f"| {' | '.join(cells)} |"


def write_tables(root: Path) -> list[str]:
    """Fill the blocks of both pages.

    Args:
        root: The folder of the repository.

    Returns:
        The pages that were written.
    """
    result = json.loads((root / SOURCE).read_text(encoding="utf-8"))
    page, readme = Path("docs") / "quickstart.md", Path("README.md")
    fill_block(root / page, SOURCE, "\n".join(rows(result, list(SPLITS))))
    fill_block(root / readme, SOURCE, "\n".join(readme_rows(result)))
    return [str(page), str(readme)]
