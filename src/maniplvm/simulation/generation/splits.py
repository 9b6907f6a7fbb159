"""Which tasks, seeds and wordings belong to which split, so that nothing leaks."""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.errors import UserError
from maniplvm.simulation.labels.instructions import described_tasks

ADAPT_TASKS = (
    "button-press-topdown-wall-v3",
    "coffee-push-v3",
    "door-close-v3",
    "handle-press-side-v3",
    "plate-slide-side-v3",
    "sweep-into-v3",
)
"""Types for reinforcement learning alone: prompts and a verifier, no demonstrations."""

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
"""Types never trained on, each the counterpart of one that is (open seen, close unseen)."""

SEEDS_PER_SPLIT = 1_000_000
"""Every split draws its scenes from a range of seeds of its own."""
SCENES_PER_SEED = 10_000
"""Most scenes of one task under one `--seed`."""


@dataclass(frozen=True)
class Split:
    """What a split is made of.

    Attributes:
        name: As in the data set.
        world: The world it comes from.
        tasks: Its task types, sorted.
        first_seed: Where its range of scene seeds starts.
        teaches: Whether a policy may learn from it: it then uses the seen wordings and textures.
    """

    name: str
    world: str
    tasks: tuple[str, ...]
    first_seed: int
    teaches: bool

    def scene_seed(self, seed: int, index: int) -> int:
        """The seed of the split's scene number `index` in a run with `--seed seed`.

        Raises:
            UserError: the split's range of seeds does not reach that far.
        """
        last = SEEDS_PER_SPLIT // SCENES_PER_SEED - 1
        if not 0 <= seed <= last:
            raise UserError(f"--seed must be 0 to {last} so that splits share no scene, got {seed}")
        if not 0 <= index < SCENES_PER_SEED:
            raise UserError(
                f"at most {SCENES_PER_SEED} scenes of a task under one --seed; use another --seed"
            )
        return self.first_seed + seed * SCENES_PER_SEED + index


def _splits() -> dict[str, Split]:
    train_tasks = tuple(
        task
        for task in described_tasks("metaworld")
        if task not in ADAPT_TASKS and task not in OOD_TASKS
    )
    made_of = (
        ("train", "metaworld", train_tasks, True),
        ("id_test", "metaworld", train_tasks, False),
        ("adapt", "metaworld", ADAPT_TASKS, True),
        ("adapt_test", "metaworld", ADAPT_TASKS, False),
        ("ood_tasks", "metaworld", OOD_TASKS, False),
        ("ood_robot", "robosuite", described_tasks("robosuite"), False),
    )
    return {
        name: Split(name, world, tuple(sorted(tasks)), number * SEEDS_PER_SPLIT, teaches)
        for number, (name, world, tasks, teaches) in enumerate(made_of)
    }


SPLITS = _splits()
"""All splits by name, in the order in which a data set holds them."""


def split(name: str) -> Split:
    """The split of that name.

    Raises:
        UserError: there is none.
    """
    if name not in SPLITS:
        raise UserError(f"unknown split {name!r}; choose from {', '.join(SPLITS)}")
    return SPLITS[name]
