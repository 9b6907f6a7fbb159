"""The interface of every simulated world, and the lookup of a world by name.

This module imports no simulator.
"""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.optional import import_optional

if TYPE_CHECKING:
    import mujoco


OPEN, CLOSED = -1.0, 1.0
"""The two ends of a gripper command. Experts also use values between them."""

_MODULE_AND_EXTRA = {
    "metaworld": ("maniplvm.simulation.worlds.metaworld", "sim"),
    "robosuite": ("maniplvm.simulation.worlds.robosuite", "panda"),
}

WORLD_NAMES = tuple(_MODULE_AND_EXTRA)
"""Names of all worlds."""


class Closeable(ABC):
    """A context manager that calls `close` at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Free the resources that Python does not free by itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Command:
    """The arm's command for one control step.

    Attributes:
        motion: `(3,)` motion along the world axes, each -1..1 of the fastest motion in one step.
        gripper: Gripper command, -1 (open) to 1 (closed).
    """

    motion: FloatArray
    gripper: float


@dataclass(frozen=True)
class Viewpoint:
    """Camera directions that show a world well, before any randomization.

    Attributes:
        azimuths: Viewing directions, best first [deg, MuJoCo's free camera].
        elevation: Elevation of the viewing direction; negative looks down [deg].
        fovy: Vertical field of view [deg].
    """

    azimuths: tuple[float, ...]
    elevation: float
    fovy: float


class Scene(Closeable):
    """One task's compiled MuJoCo model, which can be reset any number of times.

    A reset is a pure function of the seed: the same seed gives the same state, whatever happened
    before. Nothing here renders.

    Attributes:
        world: Name of the world.
        task: Name of the task in its world.
        model: The compiled MuJoCo model. Its appearance may be changed, its physics may not.
        data: The current MuJoCo state.
        robot_bodies: Ids of all bodies of the robot.
        hand_bodies: Ids of the palm and the fingers.
        goal_sites: Ids of the sites that mark the goal.
        viewpoint: Camera directions that show the scene well.
        gain: Gain of the position controller: share of full speed per metre of error [1/m].
        horizon: Number of control steps in an episode.
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
        """Put the scene into the initial state of a seed."""

    @abstractmethod
    def end_effector(self) -> FloatArray:
        """The point between the finger tips, `(3,)` [m, world]."""

    @abstractmethod
    def apply(self, command: Command) -> bool:
        """Advance one control step.

        Returns:
            Whether the task is solved after the step.
        """

    def goal_distance(self) -> float | None:
        """The world's own distance to the goal [m], or None where the world measures none."""
        return None

    @abstractmethod
    def expert(self) -> Iterator[Command]:
        """The scripted expert's commands from the current state on.

        Apply each command before you request the next one. The iterator may end early.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the simulator's resources."""

    def move_towards(self, target: ArrayLike, gripper: float) -> bool:
        """Run one step of the proportional position controller.

        Args:
            target: Target position of the end effector, `(3,)` [m, world].
            gripper: Gripper command, -1 (open) to 1 (closed).

        Returns:
            Whether the task is solved after the step.
        """
        error = np.asarray(target, dtype=np.float64) - self.end_effector()
        return self.apply(Command(np.clip(self.gain * error, -1.0, 1.0), gripper))

    def snapshot(self) -> mujoco.MjData:
        """A copy of the current state."""
        return copy.copy(self.data)


class World(ABC):
    """A family of scenes with one robot.

    Attributes:
        name: Name on the command line and in provenance.
        tasks: Names of the tasks, sorted.
    """

    name: str
    tasks: tuple[str, ...]

    @abstractmethod
    def open(self, task: str) -> Scene:
        """Compile the model of a task.

        Raises:
            UserError: The world has no such task.
        """

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that decide the physics."""


def load_world(name: str) -> World:
    """Import a world by name.

    Raises:
        UserError: No world has that name, or its simulator is not installed.
    """
    if name not in _MODULE_AND_EXTRA:
        raise UserError(f"unknown world {name!r}; choose from {', '.join(WORLD_NAMES)}")
    require_mujoco()
    module, extra = _MODULE_AND_EXTRA[name]
    return import_optional(module, f"world {name} needs", extra, package=name).WORLD


def require_mujoco() -> None:
    """Import MuJoCo, or explain in one line why the import fails.

    MuJoCo loads the OpenGL backend of `MUJOCO_GL` at import, even if nothing is rendered.

    Raises:
        UserError: The package is missing, or its OpenGL backend cannot be loaded.
    """
    try:
        import_optional("mujoco", "simulation needs", "sim")
    except (AttributeError, OSError, RuntimeError, UserError) as error:
        backend = os.environ.get("MUJOCO_GL")
        if not backend or isinstance(error.__cause__, ModuleNotFoundError):
            raise
        raise UserError(
            f"MUJOCO_GL={backend}: MuJoCo cannot load this OpenGL backend "
            f"({error.__cause__ or error}); unset MUJOCO_GL, or install the backend "
            "(Debian: apt-get install -y libosmesa6)"
        ) from error


def subtree(model: mujoco.MjModel, root: int) -> frozenset[int]:
    """Ids of a body and of all bodies below it."""
    members = {root}
    for body in range(root + 1, model.nbody):  # MuJoCo numbers parents before children
        if int(model.body_parentid[body]) in members:
            members.add(body)
    return frozenset(members)
