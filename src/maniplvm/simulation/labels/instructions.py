"""The instructions of each task, read from `instructions.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from maniplvm.errors import UserError

MIN_PHRASINGS = 6
"""Minimum number of different phrasings of a task."""


@dataclass(frozen=True)
class Instructions:
    """The instructions of one task.

    Attributes:
        part_name: Name of the part to touch, a noun.
        marker: Whether a marker must show the goal, because nothing else in the image does.
        seen: Phrasings for training and test splits.
        held_out: Phrasings that only test splits use.
    """

    part_name: str
    marker: bool
    seen: tuple[str, ...]
    held_out: tuple[str, ...]


@functools.cache
def _all() -> Mapping[str, Mapping[str, Instructions]]:
    text = (
        resources.files("maniplvm.simulation.labels")
        .joinpath("instructions.yaml")
        .read_text("utf-8")
    )
    return {
        world: {
            task: Instructions(
                part_name=entry["part"],
                marker=entry["marker"],
                seen=tuple(entry["seen"]),
                held_out=tuple(entry["held_out"]),
            )
            for task, entry in tasks.items()
        }
        for world, tasks in yaml.safe_load(text).items()
    }


def described_tasks(world: str) -> tuple[str, ...]:
    """The tasks of a world that have instructions, sorted. Data sets contain only these."""
    return tuple(sorted(_all().get(world, {})))


def instructions(world: str, task: str) -> Instructions:
    """The instructions of a task.

    Raises:
        UserError: The task has no instructions.
    """
    tasks = _all().get(world, {})
    if task not in tasks:
        raise UserError(
            f"no instructions for task {task!r} of world {world!r}; choose from {', '.join(sorted(tasks))}"
        )
    return tasks[task]
