"""The reader of grid files: YAML with inherited arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.config import build, unknown_key
from maniplvm.config.yaml import read_yaml
from maniplvm.errors import UserError
from maniplvm.experiments.grids.grid import Grid

OLD_KEYS = {"blend": "alpha"}
"""Keys of an arm in files of earlier versions, with the present ones."""


def read_grid(
    path: str | Path, deprecated: Callable[[str, str], None] = lambda old, new: None
) -> Grid:
    """Read a grid file. `like: ARM` gives an arm all keys that it does not set.

    Args:
        path: A YAML file.
        deprecated: Called once with the old and the new name of every deprecated key.

    Raises:
        UserError: an unknown or missing key, a value of another type, or an unknown arm; the line
            names file, key and valid choices.
    """
    path = Path(path)
    settings = read_yaml(path, "experiment")
    arms = settings.get("arms")
    if isinstance(arms, Mapping):
        for old in _old_keys(arms):
            deprecated(old, OLD_KEYS[old])
        arms = {name: _with_current_keys(name, own, str(path)) for name, own in arms.items()}
        settings["arms"] = {
            name: _inherited(name, arms, str(path), ()) for name in arms if name is not None
        }
    return replace(build(Grid, settings, str(path)), where=str(path))


def _old_keys(arms: Mapping[str, Any]) -> list[str]:
    used = {key for own in arms.values() if isinstance(own, Mapping) for key in own}
    return [old for old in OLD_KEYS if old in used]


def _with_current_keys(name: str, own: Any, where: str) -> Any:
    if not isinstance(own, Mapping):
        return own
    for old, new in OLD_KEYS.items():
        if old in own and new in own:
            raise UserError(
                f"{where}: arms.{name}: {old} is the old name of {new}; give {new} only"
            )
    return {OLD_KEYS.get(key, key): value for key, value in own.items()}


def _inherited(
    name: str, arms: Mapping[str, Any], where: str, below: tuple[str, ...]
) -> dict[str, Any]:
    """The keys of an arm, with those of the arm that its `like` names."""
    own = arms[name]
    if own is None:
        return {}
    if not isinstance(own, Mapping):
        raise UserError(f"{where}: arms.{name}: expected a mapping, got {own!r}")
    parent = own.get("like")
    if parent is None:
        return dict(own)
    if parent not in arms:
        raise UserError(f"{where}: arms.{name}.like: {unknown_key(str(parent), list(arms))}")
    if name in below:
        raise UserError(f"{where}: arms.{name}: is like itself")
    merged = _inherited(parent, arms, where, (*below, name))
    changes = {**(merged.get("set") or {}), **(own.get("set") or {})}
    merged |= {key: value for key, value in own.items() if key != "like"}
    if "fraction" in own:
        merged.pop("fractions", None)
    if "fractions" in own:
        merged.pop("fraction", None)
    return merged | ({"set": changes} if changes else {})
