"""Worlds by name, imported only when asked for."""

from __future__ import annotations

from maniplvm.errors import UserError
from maniplvm.optional import import_optional
from maniplvm.simulation.engine import require_mujoco
from maniplvm.simulation.worlds.base import World

_MODULE_AND_EXTRA = {
    "metaworld": ("maniplvm.simulation.worlds.metaworld", "sim"),
    "robosuite": ("maniplvm.simulation.worlds.robosuite", "panda"),
}

WORLD_NAMES = tuple(_MODULE_AND_EXTRA)


def world(name: str) -> World:
    """The world of that name.

    Raises:
        UserError: no world has that name, or its simulator is not installed.
    """
    if name not in _MODULE_AND_EXTRA:
        raise UserError(f"unknown world {name!r}; choose from {', '.join(WORLD_NAMES)}")
    require_mujoco()
    module, extra = _MODULE_AND_EXTRA[name]
    return import_optional(module, f"world {name} needs", extra, package=name).WORLD
