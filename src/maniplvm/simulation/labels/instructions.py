"""How a person asks for each task, read from `instructions.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from maniplvm.errors import UserError

FEWEST_WORDINGS = 6


@dataclass(frozen=True)
class Instructions:
    """What can be said about one task.

    Attributes:
        part: The thing to touch, as a noun.
        marker: Whether the goal must be drawn, because nothing else in the image shows it.
        seen: Wordings for the splits that teach.
        held_out: Wordings that only test splits use.
    """

    part: str
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
                part=entry["part"],
                marker=entry["marker"],
                seen=tuple(entry["seen"]),
                held_out=tuple(entry["held_out"]),
            )
            for task, entry in tasks.items()
        }
        for world, tasks in yaml.safe_load(text).items()
    }


def described_tasks(world: str) -> tuple[str, ...]:
    """The tasks of a world that have instructions: those that data is made of, sorted."""
    return tuple(sorted(_all().get(world, {})))


def instructions(world: str, task: str) -> Instructions:
    """What can be said about a task.

    Raises:
        UserError: nothing is written about it.
    """
    tasks = _all().get(world, {})
    if task not in tasks:
        raise UserError(
            f"no instructions for task {task!r} of world {world!r}; choose from {', '.join(sorted(tasks))}"
        )
    return tasks[task]
