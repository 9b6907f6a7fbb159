"""Merging of new results into an existing results file.

Run folders are large and stay on one machine. Results files are small. Another machine can therefore continue a
grid, one arm at a time: entries stay in the file if their runs are not on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.experiments.grids.grid import Grid
from maniplvm.experiments.grids.grid_file import OLD_KEYS

FORMAT = "maniplvm.evidence/1"


def read_results(path: Path, grid: Grid) -> dict[str, Any]:
    """The content of a results file; empty if the file does not exist.

    Settings of arms get their present names, so files of earlier versions stay valid.

    Raises:
        UserError: the file has another content or belongs to another experiment.
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
    arms = {name: _with_current_keys(arm) for name, arm in content["arms"].items()}
    return {**content, "arms": arms}


def _with_current_keys(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {OLD_KEYS.get(key, key): value for key, value in arm.items()}


def check_results(grid: Grid, results: Path) -> None:
    """Check that the results can be written, before hours of work.

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
    """Add entries of an earlier results file to new results.

    An earlier arm is kept if the grid still has it with the same settings, and if the new results
    have fewer seeds of it. With as many seeds it is kept if the runs differ: a rerun does not
    replace the first run. A pair is kept with its arms, unless the new results have more of its
    seeds. Kept entries of other package versions store these versions.

    Args:
        grid: From `read_grid`.
        new: The new results of the tier; changed in place.
        earlier: The earlier results of the tier; empty if there are none.
        settings: The settings of every arm of the tier in the grid, `rounded` as in the file.

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
    """Whether the earlier entry of an arm has more seeds, or as many seeds of other runs."""
    if new is None:
        return True
    more = len(earlier["seeds"]) - len(new["seeds"])
    others = earlier["cost"].get("wall_seconds") != new["cost"].get("wall_seconds")
    return more > 0 or (more == 0 and others)


def _names(pair: Mapping[str, Any]) -> tuple[str, ...]:
    return pair["before"], pair["after"]


def _seeds(pair: Mapping[str, Any] | None) -> int:
    """Number of seeds of a pair."""
    if pair is None:
        return 0
    return max(
        len(own["seeds"])
        for tasks in pair["splits"].values()
        for measures in tasks.values()
        for own in measures.values()
    )
