"""What to generate: the splits, and a plan that is divided into independent jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import maniplvm
from maniplvm.errors import UserError
from maniplvm.simulation.labels.instructions import described_tasks
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization

SCENES_PER_JOB = 16
MIN_SIZE, MAX_SIZE = 64, 1024
"""Bounds of the image side [px]."""

ADAPT_TASKS = (
    "button-press-topdown-wall-v3",
    "coffee-push-v3",
    "door-close-v3",
    "handle-press-side-v3",
    "plate-slide-side-v3",
    "sweep-into-v3",
)
"""Task types for reinforcement learning only: prompts and a verifier, no demonstrations."""

OOD_TASKS = (
    "button-press-wall-v3",
    "door-unlock-v3",
    "drawer-close-v3",
    "faucet-open-v3",
    "pick-place-wall-v3",
    "push-wall-v3",
    "stick-push-v3",
    "window-close-v3",
)
"""Task types that are never trained on. Each is the counterpart of a training task."""

SEEDS_PER_SPLIT = 1_000_000
"""Each split draws its scenes from its own range of seeds."""
SCENES_PER_SEED = 10_000
"""Maximum number of scenes of one task for one `--seed`."""


@dataclass(frozen=True)
class Split:
    """The tasks and the scene seeds of a split.

    Attributes:
        name: Name in the data set.
        world: Name of the world.
        tasks: Task types, sorted.
        first_seed: First scene seed.
        is_training: Whether a policy may be trained on it. Training splits use only the seen
            phrasings and the training textures.
    """

    name: str
    world: str
    tasks: tuple[str, ...]
    first_seed: int
    is_training: bool

    def scene_seed(self, seed: int, index: int) -> int:
        """The seed of scene number `index` in a run with `--seed seed`.

        Raises:
            UserError: The seed is outside of the split's range.
        """
        last = SEEDS_PER_SPLIT // SCENES_PER_SEED - 1
        if not 0 <= seed <= last:
            raise UserError(f"--seed must be 0 to {last} so that splits share no scene, got {seed}")
        if not 0 <= index < SCENES_PER_SEED:
            raise UserError(
                f"at most {SCENES_PER_SEED} scenes of a task for one --seed; use another --seed"
            )
        return self.first_seed + seed * SCENES_PER_SEED + index


def _splits() -> dict[str, Split]:
    train_tasks = tuple(
        task
        for task in described_tasks("metaworld")
        if task not in ADAPT_TASKS and task not in OOD_TASKS
    )
    definitions = (
        ("train", "metaworld", train_tasks, True),
        ("id_test", "metaworld", train_tasks, False),
        ("adapt", "metaworld", ADAPT_TASKS, True),
        ("adapt_test", "metaworld", ADAPT_TASKS, False),
        ("ood_tasks", "metaworld", OOD_TASKS, False),
        ("ood_robot", "robosuite", described_tasks("robosuite"), False),
    )
    return {
        name: Split(name, world, tuple(sorted(tasks)), number * SEEDS_PER_SPLIT, is_training)
        for number, (name, world, tasks, is_training) in enumerate(definitions)
    }


SPLITS = _splits()
"""All splits by name, in the order of the data set."""


def split(name: str) -> Split:
    """The split of a name.

    Raises:
        UserError: The name is unknown.
    """
    if name not in SPLITS:
        raise UserError(f"unknown split {name!r}; choose from {', '.join(SPLITS)}")
    return SPLITS[name]


@dataclass(frozen=True)
class GenerationJob:
    """A block of scenes of one task, for all splits with that task.

    Attributes:
        world: Name of the world.
        task: Name of the task.
        block: Index of the block.
        scenes: `(split, index)` of every scene, in order.
    """

    world: str
    task: str
    block: int
    scenes: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """Unique in a plan, and a valid file name."""
        return f"{self.world}-{self.task}-{self.block:04d}"


@dataclass(frozen=True)
class Plan:
    """The settings of a data set to generate.

    Attributes:
        scenes: Number of initial states of each task, by split.
        tasks: Names of the tasks; empty for all.
        views: Number of images of each initial state.
        size: Side of the square images [px].
        seed: Seed of the run. Another seed gives other scenes.
        randomization: Kinds of randomization.

    Raises:
        UserError: A split or task is unknown, or a number is out of range.
    """

    scenes: Mapping[str, int]
    tasks: tuple[str, ...] = ()
    views: int = 2
    size: int = 192
    seed: int = 0
    randomization: DomainRandomization = field(default_factory=DomainRandomization)

    def __post_init__(self) -> None:
        for name, count in self.scenes.items():
            split(name).scene_seed(self.seed, max(count - 1, 0))
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UserError(f"--size must be {MIN_SIZE} to {MAX_SIZE} pixels, got {self.size}")
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
        """Number of images that the run tries to render."""
        return sum(len(job.scenes) for job in self.jobs()) * self.views

    def jobs(self) -> list[GenerationJob]:
        """All jobs, block by block. An unfinished run therefore covers all tasks."""
        blocks: dict[tuple[int, str, str], list[tuple[str, int]]] = {}
        for name in SPLITS:
            for task in SPLITS[name].tasks if self.scenes.get(name) else ():
                if self.tasks and task not in self.tasks:
                    continue
                for index in range(self.scenes[name]):
                    key = (index // SCENES_PER_JOB, SPLITS[name].world, task)
                    blocks.setdefault(key, []).append((name, index))
        return [
            GenerationJob(world, task, block, tuple(scenes))
            for (block, world, task), scenes in sorted(blocks.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """All settings that decide the bytes of the data set, JSON-ready."""
        plain = asdict(self) | {"tasks": list(self.tasks), "scenes": dict(self.scenes)}
        plain["variety"] = plain.pop("randomization")  # the key in stored data sets
        return plain | {"maniplvm": maniplvm.__version__}


def shard_of(jobs: Sequence[GenerationJob], shard: str) -> list[GenerationJob]:
    """The jobs of one shard.

    Args:
        jobs: All jobs.
        shard: `i/n`, from `1/n` to `n/n`.

    Raises:
        UserError: `shard` does not have that form.
    """
    first, slash, count = shard.partition("/")
    if not (slash and first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise UserError(f"--shard must be i/n with i from 1 to n, got {shard!r}")
    return list(jobs[int(first) - 1 :: int(count)])
