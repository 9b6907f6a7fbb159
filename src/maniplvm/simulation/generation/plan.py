"""What to generate, cut into jobs that can be made in any order, anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import maniplvm
from maniplvm.errors import UserError
from maniplvm.simulation.generation.splits import SPLITS, split
from maniplvm.simulation.randomization.appearance import Variety

SCENES_PER_JOB = 16
SMALLEST, LARGEST = 64, 1024


@dataclass(frozen=True)
class Job:
    """A block of scenes of one task, for every split that has it.

    Attributes:
        world: Name of the world.
        task: Name of the task.
        block: Number of the block.
        scenes: `(split, index)` of every scene, in order.
    """

    world: str
    task: str
    block: int
    scenes: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """Unique in a plan, and fit to name a file."""
        return f"{self.world}-{self.task}-{self.block:04d}"


@dataclass(frozen=True)
class Plan:
    """A whole data set to be.

    Attributes:
        scenes: How many initial states to try for each task, by split.
        tasks: Names of the tasks, or empty for all.
        views: Images of each initial state.
        size: Side of the square images [px].
        seed: Another one gives other scenes.
        variety: What may vary.

    Raises:
        UserError: a split or task that does not exist, or a number out of range.
    """

    scenes: Mapping[str, int]
    tasks: tuple[str, ...] = ()
    views: int = 2
    size: int = 192
    seed: int = 0
    variety: Variety = field(default_factory=Variety)

    def __post_init__(self) -> None:
        for name, count in self.scenes.items():
            split(name).scene_seed(self.seed, max(count - 1, 0))
        if not SMALLEST <= self.size <= LARGEST:
            raise UserError(f"--size must be {SMALLEST} to {LARGEST} pixels, got {self.size}")
        if self.views < 1:
            raise UserError(f"--views must be at least 1, got {self.views}")
        offered = {task for name in self.scenes for task in SPLITS[name].tasks}
        unknown = [task for task in self.tasks if task not in offered]
        if unknown:
            raise UserError(
                f"unknown task {unknown[0]!r} for these splits; choose from {', '.join(sorted(offered))}"
            )

    @property
    def images(self) -> int:
        """How many images are tried."""
        return sum(len(job.scenes) for job in self.jobs()) * self.views

    def jobs(self) -> list[Job]:
        """All jobs: block by block, tasks in order, so that an unfinished run covers all tasks."""
        blocks: dict[tuple[int, str, str], list[tuple[str, int]]] = {}
        for name in SPLITS:
            for task in SPLITS[name].tasks if self.scenes.get(name) else ():
                if self.tasks and task not in self.tasks:
                    continue
                for index in range(self.scenes[name]):
                    key = (index // SCENES_PER_JOB, SPLITS[name].world, task)
                    blocks.setdefault(key, []).append((name, index))
        return [
            Job(world, task, block, tuple(scenes))
            for (block, world, task), scenes in sorted(blocks.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything that decides the bytes, as plain data."""
        plain = asdict(self) | {"tasks": list(self.tasks), "scenes": dict(self.scenes)}
        return plain | {"maniplvm": maniplvm.__version__}


def shard_of(jobs: Sequence[Job], shard: str) -> list[Job]:
    """The jobs of one shard.

    Args:
        jobs: All jobs.
        shard: `i/n`, from `1/n` to `n/n`.

    Raises:
        UserError: not of that form.
    """
    first, slash, count = shard.partition("/")
    if not (slash and first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise UserError(f"--shard must be i/n with i from 1 to n, got {shard!r}")
    return list(jobs[int(first) - 1 :: int(count)])
