"""Values of `results/evidence/*.json`, formatted for tables: levels, changes and costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from maniplvm.errors import UserError

RESULTS = Path("results") / "evidence"
GREEDY = ("adapt_test", "id_test", "ood_tasks", "ood_robot")
SAMPLED = "adapt_test_sampled"
SPLITS = {
    "adapt_test": "new tasks",
    SAMPLED: "new tasks, sampled answers",
    "id_test": "pretraining tasks",
    "ood_tasks": "unseen tasks",
    "ood_robot": "another robot",
}
HEADLINES = (
    ("affordance", "iou", "box: IoU"),
    ("trajectory", "dfd_diagonal", "trace: DFD / diagonal"),
    ("trajectory", "execution", "trace: solved, %"),
)
"""The measures of every table. The JSON has more."""
BOX_BEHAVIOUR = (
    ("affordance", "success", "IoU > .5, %"),
    ("affordance", "area_ratio", "area ratio"),
    ("affordance", "part_named", "part named, %"),
    ("affordance", "diversity", "diversity"),
    ("affordance", "parse_rate", "parsed, %"),
    ("affordance", "tokens", "tokens"),
)
TRACE_BEHAVIOUR = (
    ("trajectory", "hd", "HD, px"),
    ("trajectory", "rmse", "RMSE, px"),
    ("trajectory", "end", "end, px"),
    ("trajectory", "start_diagonal", "start / diagonal"),
    ("trajectory", "length_ratio", "length ratio"),
    ("trajectory", "diversity", "diversity"),
    ("trajectory", "parse_rate", "parsed, %"),
    ("trajectory", "tokens", "tokens"),
)
PERCENT = frozenset({"execution", "success", "parse_rate", "part_named"})
COARSE = frozenset({"hd", "rmse", "end", "tokens"})
LESS_IS_BETTER = frozenset({"dfd_diagonal", "dfd", "hd", "rmse", "end"})

Tier: TypeAlias = dict[str, Any]


def read_tiers(folder: Path) -> dict[str, Tier]:
    """The results files of a folder, by name without suffix."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def shown(name: str, value: float, sign: str = "") -> str:
    """A value as a string: percent, one decimal or three."""
    if name in PERCENT:
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.1f}" if name in COARSE else f"{value:{sign}.3f}"


def spread(name: str, own: dict[str, float], sign: str = "") -> str:
    """A mean with its interval."""
    mean, low, high = (shown(name, own[key], sign) for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def level(tasks: dict[str, Any], task: str, name: str) -> str:
    """The value of an arm, with its interval if it has one; a dash if there is no value."""
    own = tasks.get(task, {}).get(name)
    if own is None:
        return "-"
    return spread(name, own) if isinstance(own, dict) else shown(name, own)


def change(tasks: dict[str, Any], task: str, name: str) -> str:
    """A paired difference with its interval; bold if the interval excludes 0."""
    own = tasks.get(task, {}).get(name)
    if own is None:
        return "-"
    text = spread(name, own["difference"], "+")
    return f"**{text}**" if is_clear(own) else text


def fewer_seeds(tier: Tier, seeds: Sequence[Any]) -> str:
    """A note if an arm has fewer seeds than the grid; else an empty string."""
    if len(seeds) == len(tier["seed"]):
        return ""
    return f" ({len(seeds)} seed{'s' * (len(seeds) > 1)})"


def rerun_note(tier: Tier, pair: dict[str, Any], split: str) -> str:
    """A note if a pair compares other runs of an arm than those in the arm's own entry."""
    names = list[str]()
    for side in ("before", "after"):
        arm = tier["arms"].get(pair[side], {"seeds": (), "splits": {}})
        for task, name, _ in HEADLINES:
            level = arm["splits"].get(split, {}).get(task, {}).get(name)
            own = pair["splits"][split].get(task, {}).get(name)
            if None not in (level, own) and len(arm["seeds"]) == len(own["seeds"]):
                names += [pair[side]] * (abs(level["mean"] - own[side]) > 5e-4)
    return "".join(f" (`{name}` rerun)" for name in dict.fromkeys(names))


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for the number of tests (Holm 1979)."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    corrected, worst = [1.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = worst
    return corrected


def is_clear(own: dict[str, Any]) -> bool:
    """Whether the interval of a difference excludes 0."""
    return own["difference"]["low"] > 0 or own["difference"]["high"] < 0


def gain(own: dict[str, Any], name: str) -> dict[str, float]:
    """A difference in percent of the first value. Positive is better."""
    scale = 100 / own["before"] * (-1 if name in LESS_IS_BETTER else 1)
    low, high = sorted(scale * own["difference"][key] for key in ("low", "high"))
    return {"mean": scale * own["difference"]["mean"], "low": low, "high": high}


def compared(tier: Tier, before: str, after: str) -> dict[str, Any]:
    """Differences of two arms by split.

    Raises:
        UserError: the tier does not compare them.
    """
    if before == tier["base"]:
        return tier["arms"][after]["against_base"]
    for pair in tier["pairs"]:
        if (pair["before"], pair["after"]) == (before, after):
            return pair["splits"]
    raise UserError(f"tier {tier['tier']}: {before} and {after} are not a pair of the grid")


def average(values: Sequence[float] | None, scale: float = 1) -> str:
    """The mean over seeds; a dash for an arm without training."""
    return "-" if not values else f"{fmean(values) / scale:,.0f}"
