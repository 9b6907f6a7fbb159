"""How an execution ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an execution ended as it did; every failure has exactly one reason."""

    SOLVED = "solved"
    """The world's own success test was met."""
    NEVER_TOUCHED = "never_touched"
    """The path was followed, but the hand never met the part."""
    OUT_OF_REACH = "out_of_reach"
    """The hand never met the part and could not get to where the path leads."""
    DROPPED = "dropped"
    """The part was carried and lost while the gripper was still meant to hold it."""
    WRONG_END = "wrong_end"
    """The part was touched, and the path ended without the task being solved."""
    TIMEOUT = "timeout"
    """The episode's steps or the allowed seconds ran out."""
    INVALID = "invalid"
    """There is no path to follow: unreadable, not finite, or all points in one place."""
    CRASHED = "crashed"
    """The simulator failed; says nothing about the trace."""


@dataclass(frozen=True)
class Execution:
    """What became of one trace.

    Attributes:
        reason: How it ended.
        steps: Control steps taken.
        progress: Share of the way to the goal that was done in the end, by the world's own distance,
            0..1; 1 if solved, 0 where the world measures none.
        detail: A sentence where the reason needs one (`invalid`, `crashed`), else empty.
    """

    reason: Reason
    steps: int = 0
    detail: str = ""
    progress: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the task was solved."""
        return self.reason is Reason.SOLVED
