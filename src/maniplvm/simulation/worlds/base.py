"""What every simulated world offers: tasks to open, scenes to reset, one position controller."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray

if TYPE_CHECKING:
    import mujoco


OPEN, CLOSED = -1.0, 1.0
"""The two ends of a gripper command; experts also use values between them."""


@dataclass(frozen=True)
class Command:
    """What the arm is told for one control step.

    Attributes:
        motion: `(3,)` world axes, each -1..1 of the fastest motion in one step.
        gripper: -1 (open) to 1 (closed).
    """

    motion: FloatArray
    gripper: float


@dataclass(frozen=True)
class Viewpoint:
    """Where a world is best seen from, before any randomisation.

    Attributes:
        azimuths: Directions to look along, best first [deg, MuJoCo's free camera].
        elevation: Height of the gaze, negative looks down [deg].
        fovy: Vertical field of view [deg].
    """

    azimuths: tuple[float, ...]
    elevation: float
    fovy: float


class Scene(ABC):
    """One task's compiled MuJoCo model, reset as often as needed.

    A reset is a pure function of the seed: whatever happened before, the same seed gives the
    same state. Nothing here renders.

    Attributes:
        world: The world's name.
        task: The task's name in its world.
        model: The raw compiled model; appearance may be changed, physics may not.
        data: The raw live state.
        robot_bodies: Ids of all bodies of the robot.
        hand_bodies: Ids of the bodies that may touch on purpose: palm and fingers.
        goal_sites: Ids of the sites that mark the goal.
        viewpoint: Where to look from.
        gain: Of the position controller: share of full speed for a metre of error [1/m].
        horizon: Control steps in an episode.
        workspace: `(2, 3)` lowest and highest table corner where a small object may lie [m].
    """

    world: str
    task: str
    model: mujoco.MjModel
    data: mujoco.MjData
    robot_bodies: frozenset[int]
    hand_bodies: frozenset[int]
    goal_sites: frozenset[int]
    viewpoint: Viewpoint
    gain: float
    horizon: int
    workspace: FloatArray

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Put the scene into the initial state that belongs to the seed."""

    @abstractmethod
    def end_effector(self) -> FloatArray:
        """The point between the finger tips, `(3,)` [m, world]."""

    @abstractmethod
    def apply(self, command: Command) -> bool:
        """Advance one control step.

        Returns:
            Whether the task counts as solved after the step.
        """

    def goal_distance(self) -> float | None:
        """How far the task is from being done by the world's own measure [m]; None without one."""
        return None

    @abstractmethod
    def expert(self) -> Iterator[Command]:
        """The scripted expert's commands from the present state on.

        Each command must be applied before the next is drawn. The iterator may end early.
        """

    @abstractmethod
    def close(self) -> None:
        """Free what the simulator holds."""

    def move_towards(self, target: ArrayLike, gripper: float) -> bool:
        """One step of the proportional position controller.

        Args:
            target: Where the end effector should go, `(3,)` [m, world].
            gripper: -1 (open) to 1 (closed).

        Returns:
            Whether the task counts as solved after the step.
        """
        error = np.asarray(target, dtype=np.float64) - self.end_effector()
        return self.apply(Command(np.clip(self.gain * error, -1.0, 1.0), gripper))

    def snapshot(self) -> mujoco.MjData:
        """A copy of the state, to look at after the scene has moved on."""
        return copy.copy(self.data)


class World(ABC):
    """A family of scenes with one robot.

    Attributes:
        name: As used on the command line and in provenance.
        tasks: Names of the tasks, sorted.
    """

    name: str
    tasks: tuple[str, ...]

    @abstractmethod
    def open(self, task: str) -> Scene:
        """Compile the task's model.

        Raises:
            UserError: the world has no such task.
        """

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that decide the physics, for provenance."""


def subtree(model: mujoco.MjModel, root: int) -> frozenset[int]:
    """Ids of a body and everything attached below it."""
    members = {root}
    for body in range(root + 1, model.nbody):  # MuJoCo numbers parents before children
        if int(model.body_parentid[body]) in members:
            members.add(body)
    return frozenset(members)
