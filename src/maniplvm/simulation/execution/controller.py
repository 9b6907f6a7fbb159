"""A path controller that moves the arm along a path of the end effector.

The arm follows a target point that moves ahead of it along the path (pure pursuit). The distance
to the target is limited, so lines stay straight and corners are not cut. The arm stops to close
the gripper, but not to open it: stops before release change sweeps and throws. The arm overshoots
the last point by a centimetre, because a demonstration ends at the moment of success.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.execution.backprojection import EndEffectorPath
from maniplvm.simulation.worlds.base import Command, Scene

TOLERANCE = 0.010
"""Distance at which a waypoint counts as reached [m]."""
SWITCH_TOLERANCE = 0.008
"""The same for a waypoint at which the gripper switches [m]."""
LOOKAHEAD = 0.75
"""Distance of the target point, in units of the distance that gives full speed."""
CLOSING_STEPS = 18
"""Number of steps without motion while the fingers close."""
OVERSHOOT = 0.010
"""Length by which the path is extended beyond its last point [m]."""
HOLDING_STEPS = 5
"""Number of steps for which the arm holds the last position."""
STALL_STEPS = 20
"""Number of steps without progress after which a waypoint counts as blocked."""
_MIN_PROGRESS = 3e-4
_MIN_DISTANCE = 1e-3


class PathController:
    """Generates the commands that move a scene's arm along a path.

    Apply each command before you request the next one.

    Attributes:
        max_miss: Largest remaining distance to a blocked waypoint [m].
    """

    def __init__(self, scene: Scene, path: EndEffectorPath) -> None:
        self.max_miss = 0.0
        self._scene = scene
        self._path = path
        self._target = path.points[0].copy()
        self._gripper = float(path.gripper[0])

    def __iter__(self) -> Iterator[Command]:
        """The commands from the current position to the end of the path."""
        points, gripper = self._path.points, self._path.gripper
        for point, command in zip(points, gripper, strict=True):
            switches = float(command) != self._gripper
            yield from self._move_to(point, SWITCH_TOLERANCE if switches else TOLERANCE)
            closes = float(command) > self._gripper
            self._gripper = float(command)
            if closes:
                yield from self._hold(point, CLOSING_STEPS)
        last = points[-1] - points[-2]
        end = points[-1] + OVERSHOOT * last / max(float(np.linalg.norm(last)), _MIN_DISTANCE)
        yield from self._move_to(end, TOLERANCE)
        yield from self._hold(end, HOLDING_STEPS)

    def _move_to(self, goal: FloatArray, tolerance: float) -> Iterator[Command]:
        nearest, stalled = np.inf, 0
        while True:
            position = self._scene.end_effector()
            self._advance_target(goal, position)
            at_goal = float(np.linalg.norm(goal - self._target)) < _MIN_DISTANCE
            error = float(np.linalg.norm(goal - position))
            if at_goal and error < tolerance:
                break
            has_progress = error < nearest - _MIN_PROGRESS
            nearest, stalled = (error, 0) if has_progress else (nearest, stalled + 1)
            if stalled > STALL_STEPS:
                if at_goal:
                    self.max_miss = max(self.max_miss, error)
                    break
                self._target, nearest, stalled = goal.copy(), np.inf, 0
            yield self._command(self._target, position)
        self._target = goal.copy()

    def _hold(self, goal: FloatArray, steps: int) -> Iterator[Command]:
        for _ in range(steps):
            yield self._command(goal, self._scene.end_effector())

    def _advance_target(self, goal: FloatArray, position: FloatArray) -> None:
        lookahead = LOOKAHEAD / self._scene.gain
        if np.linalg.norm(self._target - position) < lookahead:
            rest = goal - self._target
            self._target = self._target + rest * min(
                1.0, lookahead / 3 / max(float(np.linalg.norm(rest)), _MIN_DISTANCE)
            )

    def _command(self, target: FloatArray, position: FloatArray) -> Command:
        motion = self._scene.gain * (target - position)
        return Command(motion / max(1.0, float(np.abs(motion).max())), self._gripper)
