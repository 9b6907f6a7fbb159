"""Simulated worlds (Meta-World, robosuite) behind one interface."""

from maniplvm.simulation.worlds.base import (
    CLOSED,
    OPEN,
    WORLD_NAMES,
    Command,
    Scene,
    Viewpoint,
    World,
    load_world,
    require_mujoco,
)

__all__ = [
    "CLOSED",
    "OPEN",
    "WORLD_NAMES",
    "Command",
    "Scene",
    "Viewpoint",
    "World",
    "load_world",
    "require_mujoco",
]
