"""Settings of the reward terms from simulation."""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.config import validated
from maniplvm.errors import UserError
from maniplvm.tasks import Task


@validated
@dataclass(frozen=True)
class PhysicsSettings:
    """Reward terms without labels, which are added to those of the preset.

    A term of weight 0 is left out. Answers of a task without any terms are not executed.

    Attributes:
        solved: Weight for a trace that solves its task when it is followed.
        progress: Weight for the share of the way to the goal after the trace was followed.
        touch: Weight for a box at whose centre a touch brings the task nearer to its goal.
        fit: Weight for the IoU of such a box with the surface that is touched.
        workers: Number of simulation processes, on each node.
        ray: HOST:PORT of a Ray cluster whose nodes simulate; None means the environment variable
            `RAY_ADDRESS`, and an empty string means this machine alone.
        timeout: Time limit for one answer [s]; after it the reward is 0.
    """

    solved: float = 1.0
    progress: float = 0.0
    touch: float = 1.0
    fit: float = 0.0
    workers: int = 2
    ray: str | None = None
    timeout: float = 20.0

    def __post_init__(self) -> None:
        for name in ("solved", "progress", "touch", "fit"):
            if getattr(self, name) < 0:
                raise UserError(f"rewards.physics.{name}: must not be negative")
        if not (self.terms_of(Task.TRAJECTORY) or self.terms_of(Task.AFFORDANCE)):
            raise UserError("rewards.physics: pays nothing; give one of its terms a weight above 0")
        if self.workers < 1 or not self.timeout > 0:
            raise UserError("rewards.physics: needs workers of at least 1 and a timeout above 0")

    def terms_of(self, task: Task) -> dict[str, float]:
        """Weights of the terms for a task; empty if all weights are 0."""
        names = {Task.TRAJECTORY: ("solved", "progress"), Task.AFFORDANCE: ("touch", "fit")}
        return {name: w for name in names.get(task, ()) if (w := float(getattr(self, name))) > 0}
