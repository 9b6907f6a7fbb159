"""Tables, numbers and figures of docs/evidence.md, from `results/evidence/*.json`.

A generated block starts with `<!-- begin: results/evidence/TIER.json SECTION -->`. A number in the text is
listed in `docs/numbers.yaml` with the source `evidence QUERY`, where the query is one of

    TIER ARM SPLIT TASK.MEASURE level | mean
    TIER BEFORE>AFTER SPLIT TASK.MEASURE change | difference | gain | p
    TIER ARM cost minutes | samples | steps
    TIER ARM curve NAME first | last
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from maniplvm.errors import UserError
from maniplvm.experiments.pages.blocks import fill_block
from maniplvm.experiments.pages.evidence_values import (
    BOX_BEHAVIOUR,
    HEADLINES,
    RESULTS,
    SAMPLED,
    SPLITS,
    TRACE_BEHAVIOUR,
    Tier,
    average,
    change,
    compared,
    fewer_seeds,
    gain,
    holm,
    level,
    read_tiers,
    rerun_note,
    shown,
    spread,
)
from maniplvm.metric_names import current_name, with_current_names

PAGE = Path("docs") / "evidence.md"
IMAGES = Path("docs") / "images"
TABLE = re.compile(r"<!-- begin: (results/evidence/([\w-]+)\.json ([\w-]+)) -->")
COSTS = {
    "minutes": ("wall_seconds_in_all", 60),
    "samples": ("samples_seen_in_all", 1),
    "steps": ("optimizer_steps", 1),
}


def claim_rows(tier: Tier) -> Iterator[str]:
    """GRPO on half of the scenes compared with SFT on all scenes, by split."""
    names = (tier["base"], "sft-100", "grpo-100", "grpo-50")
    headings = ("base", "SFT, 100 %", "GRPO, 100 %", "GRPO, 50 %")
    yield f"| | {' | '.join(headings)} | GRPO 50 % - SFT 100 % (95 %) | of SFT, % |"
    yield "|---" * 7 + "|"
    differences = compared(tier, "sft-100", "grpo-50")
    for split, about in SPLITS.items():
        rows = [
            each for each in HEADLINES if each[1] in differences.get(split, {}).get(each[0], {})
        ]
        if rows:
            yield f"| **`{split}`: {about}** | | | | | | |"
        for task, name, heading in rows:
            own = [tier["arms"][arm]["splits"][split][task][name]["mean"] for arm in names]
            cells = [shown(name, value) for value in own]
            cells.append(change(differences[split], task, name))
            cells.append(f"{gain(differences[split][task][name], name)['mean']:+.1f}")
            yield f"| {heading} | {' | '.join(cells)} |"


def level_rows(
    tier: Tier, split: str, columns: Any = HEADLINES, *, costs: bool = True
) -> Iterator[str]:
    """One row for each arm, with its cost."""
    headings = [each[2] for each in columns] + ["samples seen", "minutes"] * costs
    yield f"| `{split}` | {' | '.join(headings)} |"
    yield "|---" * (len(headings) + 1) + "|"
    for name, arm in tier["arms"].items():
        tasks = arm["splits"].get(split)
        if tasks is not None:
            cells = [level(tasks, task, measure) for task, measure, _ in columns]
            for key, scale in (COSTS["samples"], COSTS["minutes"]) * costs:
                cells.append(average(arm["cost"].get(key), scale))
            note = fewer_seeds(tier, arm["seeds"]) if arm["method"] else ""
            label = f"`{name}`: {arm['about']}{note}"
            yield f"| {label} | {' | '.join(cells)} |"


def pair_rows(tier: Tier, splits: tuple[str, ...]) -> Iterator[str]:
    """One row for each pair and split: the second arm minus the first. `holm` sets the stars of a split."""
    yield f"| | split | {' | '.join(each[2] for each in HEADLINES)} |"
    yield "|---" * (len(HEADLINES) + 2) + "|"
    starred = {split: _significant(tier, split) for split in splits}
    for number, pair in enumerate(tier["pairs"]):
        for split in splits:
            tasks = pair["splits"].get(split)
            if tasks is not None:
                cells = [
                    change(tasks, task, name) + " *" * ((number, name) in starred[split])
                    for task, name, _ in HEADLINES
                ]
                (first, *_) = (own for measures in tasks.values() for own in measures.values())
                note = fewer_seeds(tier, first["seeds"]) + rerun_note(tier, pair, split)
                label = f"`{pair['after']}` - `{pair['before']}`{note}"
                yield f"| {label} | `{split}` | {' | '.join(cells)} |"


def _significant(tier: Tier, split: str) -> set[tuple[int, str]]:
    """The significant differences on a split, corrected for multiple comparisons.

    Differences of one seed are omitted, because their interval covers scenes only.
    """
    found = {
        (number, name): own["p"]
        for number, pair in enumerate(tier["pairs"])
        for task, name, _ in HEADLINES
        if (own := pair["splits"].get(split, {}).get(task, {}).get(name)) and len(own["seeds"]) > 1
    }
    return {key for key, p in zip(found, holm(list(found.values())), strict=True) if p < 0.05}


SECTIONS: dict[str, Callable[[Tier], Iterator[str]]] = {
    "claim": claim_rows,
    **{split: lambda tier, split=split: level_rows(tier, split) for split in SPLITS},
    "box-behaviour": lambda tier: level_rows(tier, SAMPLED, BOX_BEHAVIOUR, costs=False),
    "trace-behaviour": lambda tier: level_rows(tier, SAMPLED, TRACE_BEHAVIOUR, costs=False),
    "pairs": lambda tier: pair_rows(tier, tuple(SPLITS)),
    "pairs-short": lambda tier: pair_rows(tier, ("adapt_test", "id_test")),
}
"""The tables by the name of their section."""


def evidence_value(found: dict[str, Tier], query: str) -> str:
    """The value of a query, as a string (see the module).

    Raises:
        UserError: the results do not have the value.
    """
    try:
        name, who, *rest = query.split()
        tier = found[name]
        if rest[0] == "cost":
            key, scale = COSTS[rest[1]]
            return average(tier["arms"][who]["cost"][key], scale)
        if rest[0] == "curve":
            return f"{_end_of_curve(tier['arms'][who], rest[1], rest[2]):.2f}"
        split, measure, form = rest
        task, measure = measure.split(".")
        if ">" not in who:
            own = tier["arms"][who]["splits"][split][task][measure]
            value = own["mean"] if isinstance(own, dict) else own
            return {"level": lambda: spread(measure, own), "mean": lambda: shown(measure, value)}[
                form
            ]()
        own = compared(tier, *who.split(">"))[split][task][measure]
        share = {key: f"{value:+.1f}" for key, value in gain(own, measure).items()}
        return {
            "change": spread(measure, own["difference"], "+"),
            "difference": shown(measure, own["difference"]["mean"], "+"),
            "p": f"{own['p']:.3f}",
            "gain": f"{share['mean']} % ({share['low']} to {share['high']})",
        }[form]
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"evidence: no value for {query!r}: {error!r}") from error


def _end_of_curve(arm: dict[str, Any], name: str, end: str) -> float:
    """Mean over seeds of the first or last five points of a learning curve with this metric."""
    ends = {"first": slice(None, 5), "last": slice(-5, None)}
    wanted = current_name(name)
    curves = [[with_current_names(point) for point in curve["points"]] for curve in arm["curves"]]
    values = [[point[wanted] for point in points if wanted in point] for points in curves]
    return fmean(fmean(own[ends[end]]) for own in values)


def write_page(root: Path) -> list[str]:
    """Draw the figures and fill the tables.

    Args:
        root: The folder of the repository.

    Returns:
        The files that were written.

    Raises:
        UserError: there are no results, or a block names an unknown table.
    """
    from maniplvm.experiments.pages.evidence_figures import draw

    found = read_tiers(root / RESULTS)
    if not found:
        raise UserError(f"{root / RESULTS} is empty; run maniplvm experiment first")
    written = [str(path.relative_to(root)) for path in draw(found, root / IMAGES)]
    page = root / PAGE
    for source, tier, section in TABLE.findall(page.read_text(encoding="utf-8")):
        if tier not in found or section not in SECTIONS:
            raise UserError(f"{PAGE}: {source}: no such results or table")
        fill_block(page, source, "\n".join(SECTIONS[section](found[tier])))
    return [*written, str(PAGE)]
