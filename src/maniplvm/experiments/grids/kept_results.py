"""What a results file already holds: arms and pairs whose runs are not here are kept in it.

Runs are large and stay where they were made; their results are small and travel. So a grid can be gone
on with elsewhere, an arm at a time, and nothing that took hours is overwritten by less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.experiments.grids.grid import Grid

FORMAT = "maniplvm.evidence/1"


def read_results(path: Path, grid: Grid) -> dict[str, Any]:
    """A tier's results file; empty if there is none.

    Raises:
        UserError: it is something else, or of another experiment, and must not be overwritten.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); remove it, or choose another --results"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(
            f"{path}: not results of an experiment; remove it, or choose another --results"
        )
    if content.get("experiment") != grid.name:
        raise UserError(
            f"{path}: holds results of the experiment {content.get('experiment')}, not of "
            f"{grid.name}; remove it, or choose another --results"
        )
    return content


def check_results(grid: Grid, results: Path) -> None:
    """Make sure that the results can be written, before hours of work.

    Raises:
        UserError: as in `read_results`.
    """
    for tier in grid.tiers:
        read_results(results / f"{tier}.json", grid)


def keep_earlier(
    grid: Grid,
    new: dict[str, Any],
    earlier: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Put into a tier's results what earlier ones hold besides.

    An arm is kept if the grid still asks for it with the same settings, and fewer of its seeds are
    finished here, or as many that are other runs: a run made once more does not take the place of
    the first. A pair is kept with its arms, unless more of its seeds are finished here. What is kept from
    other versions says which.

    Args:
        grid: From `read_grid`.
        new: The tier's results from what is finished here; changed in place.
        earlier: The file's, of the same tier; empty if there is none.
        settings: What the grid asks for: for every arm of the tier what its entry says of how it is made,
            `rounded` as the file is.

    Returns:
        Names of the arms that were kept.
    """
    if not earlier or earlier["base"] != grid.base:
        return []
    kept = [
        name
        for name, arm in earlier["arms"].items()
        if name in settings
        and all(arm.get(key) == value for key, value in settings[name].items())
        and _is_more(arm, new["arms"].get(name))
    ]
    other = {} if earlier["versions"] == new["versions"] else {"versions": earlier["versions"]}
    arms = {**new["arms"], **{name: other | earlier["arms"][name] for name in kept}}
    new["arms"] = {name: arms[name] for name in grid.arms if name in arms}
    outdated = set(earlier["arms"]) - set(arms)
    pairs = {_names(pair): pair for pair in new["pairs"]}
    for pair in earlier["pairs"]:
        names = _names(pair)
        more = _seeds(pair) - _seeds(pairs.get(names))
        if outdated.isdisjoint(names) and (more > 0 or (more == 0 and {*names} & {*kept})):
            pairs[names] = pair
    new["pairs"] = [pairs[pair] for pair in grid.pairs if pair in pairs]
    return kept


def _is_more(earlier: Mapping[str, Any], new: Mapping[str, Any] | None) -> bool:
    """Whether an arm's earlier entry is not to be replaced: it stands for more seeds, or for others' runs."""
    if new is None:
        return True
    more = len(earlier["seeds"]) - len(new["seeds"])
    others = earlier["cost"].get("wall_seconds") != new["cost"].get("wall_seconds")
    return more > 0 or (more == 0 and others)


def _names(pair: Mapping[str, Any]) -> tuple[str, ...]:
    return pair["before"], pair["after"]


def _seeds(pair: Mapping[str, Any] | None) -> int:
    """Of a pair's differences."""
    if pair is None:
        return 0
    return max(
        len(own["seeds"])
        for tasks in pair["splits"].values()
        for measures in tasks.values()
        for own in measures.values()
    )
