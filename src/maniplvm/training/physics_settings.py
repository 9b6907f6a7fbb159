"""What physics pays for, as plain data of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.errors import UserError


@dataclass(frozen=True)
class PhysicsSettings:
    """Reward terms that no label enters; they are added to those of the preset.

    Attributes:
        solved: Weight, for a trace that does its task when it is followed.
        progress: Weight, for the share of the way to the goal that following the trace does.
        touch: Weight, for a box at whose centre a touch brings the task nearer to its goal.
        fit: Weight, for the IoU of such a box with the surface that it touches.
        workers: Processes that simulate.
        timeout: Most seconds for one answer, which then earns nothing.
    """

    solved: float = 1.0
    progress: float = 0.0
    touch: float = 1.0
    fit: float = 0.0
    workers: int = 2
    timeout: float = 20.0

    def __post_init__(self) -> None:
        for name in ("solved", "progress", "touch", "fit"):
            if getattr(self, name) < 0:
                raise UserError(f"rewards.physics.{name}: must not be negative")
        if self.workers < 1 or not self.timeout > 0:
            raise UserError("rewards.physics: needs workers of at least 1 and a timeout above 0")
