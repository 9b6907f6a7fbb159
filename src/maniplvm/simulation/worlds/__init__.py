"""Simulated worlds behind one interface."""

from maniplvm.simulation.worlds.base import CLOSED, OPEN, Command, Scene, Viewpoint, World
from maniplvm.simulation.worlds.registry import WORLD_NAMES, world

__all__ = ["CLOSED", "OPEN", "WORLD_NAMES", "Command", "Scene", "Viewpoint", "World", "world"]
