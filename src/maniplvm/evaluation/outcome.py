"""What became of a trace in physics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What became of a trace in physics.

    Attributes:
        success: Whether the task was solved.
        reason: Why, a value of `simulation.execution.Reason`.
    """

    success: bool
    reason: str
