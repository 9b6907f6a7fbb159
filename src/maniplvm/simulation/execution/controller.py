"""A position controller that follows a course as closely as the arm can.

The arm chases a point that runs ahead of it along the course, never farther than it can be
caught up with, so that straight lines stay straight and corners are not cut. It stops to close
the gripper, not to open it (letting go in passing is how things are swept and thrown), and it
overshoots the last point by a centimetre, because a demonstration ends at the very moment of
success.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.execution.backprojection import Course
from maniplvm.simulation.worlds.base import Command, Scene

TOLERANCE = 0.010
"""How close to a waypoint counts as there [m]."""
TOLERANCE_TO_SWITCH = 0.008
"""The same where the gripper switches [m]."""
LEAD = 0.75
"""How far the chased point runs ahead, in units of the distance that asks for full speed."""
CLOSING_STEPS = 18
"""How long the hand stands still while the fingers close."""
OVERSHOOT = 0.010
"""How far the course is extended beyond its last point [m]."""
HOLDING_STEPS = 5
"""How long the hand keeps pressing at the very end."""
PATIENCE = 20
"""Steps without progress after which a waypoint counts as blocked."""
_PROGRESS = 3e-4
_AT_POINT = 1e-3


class Follower:
    """The commands that take a scene's arm along a course.

    Each command must be applied before the next is drawn.

    Attributes:
        miss: Farthest from a waypoint that the arm stayed because something blocked it [m].
    """

    def __init__(self, scene: Scene, course: Course) -> None:
        self.miss = 0.0
        self._scene = scene
        self._course = course
        self._ahead = course.points[0].copy()
        self._gripper = float(course.gripper[0])

    def __iter__(self) -> Iterator[Command]:
        """From where the arm is to the end of the course, and a little beyond."""
        points, gripper = self._course.points, self._course.gripper
        for point, command in zip(points, gripper, strict=True):
            switches = float(command) != self._gripper
            yield from self._travel(point, TOLERANCE_TO_SWITCH if switches else TOLERANCE)
            closes = float(command) > self._gripper
            self._gripper = float(command)
            if closes:
                yield from self._stay(point, CLOSING_STEPS)
        last = points[-1] - points[-2]
        end = points[-1] + OVERSHOOT * last / max(float(np.linalg.norm(last)), _AT_POINT)
        yield from self._travel(end, TOLERANCE)
        yield from self._stay(end, HOLDING_STEPS)

    def _travel(self, goal: FloatArray, tolerance: float) -> Iterator[Command]:
        nearest, idle = np.inf, 0
        while True:
            here = self._scene.end_effector()
            self._run_ahead(goal, here)
            there = float(np.linalg.norm(goal - self._ahead)) < _AT_POINT
            error = float(np.linalg.norm(goal - here))
            if there and error < tolerance:
                break
            nearest, idle = (error, 0) if error < nearest - _PROGRESS else (nearest, idle + 1)
            if idle > PATIENCE:
                if there:
                    self.miss = max(self.miss, error)
                    break
                self._ahead, nearest, idle = goal.copy(), np.inf, 0
            yield self._towards(self._ahead, here)
        self._ahead = goal.copy()

    def _stay(self, goal: FloatArray, steps: int) -> Iterator[Command]:
        for _ in range(steps):
            yield self._towards(goal, self._scene.end_effector())

    def _run_ahead(self, goal: FloatArray, here: FloatArray) -> None:
        lead = LEAD / self._scene.gain
        if np.linalg.norm(self._ahead - here) < lead:
            rest = goal - self._ahead
            self._ahead = self._ahead + rest * min(
                1.0, lead / 3 / max(float(np.linalg.norm(rest)), _AT_POINT)
            )

    def _towards(self, target: FloatArray, here: FloatArray) -> Command:
        motion = self._scene.gain * (target - here)
        return Command(motion / max(1.0, float(np.abs(motion).max())), self._gripper)
