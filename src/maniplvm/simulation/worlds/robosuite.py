"""robosuite: a Panda arm and four tasks. No training image shows this robot."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.worlds.base import OPEN, Command, Scene, Viewpoint, World, subtree
from maniplvm.simulation.worlds.panda_experts import EXPERTS


def _import_quietly() -> Any:
    """Import robosuite without its warnings, and restore `MUJOCO_GL` afterwards.

    robosuite sets `MUJOCO_GL` at import. Child processes would inherit it, and without that
    backend they could not import MuJoCo.
    """
    backend = os.environ.get("MUJOCO_GL")
    logging.disable(logging.WARNING)
    try:
        import robosuite
    finally:
        logging.disable(logging.NOTSET)
        os.environ.pop("MUJOCO_GL", None)
        if backend is not None:
            os.environ["MUJOCO_GL"] = backend
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    return robosuite


robosuite = _import_quietly()

_VIEWPOINTS = {
    "Door": Viewpoint(azimuths=(-70.0, -110.0, -50.0, -130.0), elevation=-28.0, fovy=45.0),
    "Lift": Viewpoint(azimuths=(150.0, 210.0, 120.0, 240.0), elevation=-35.0, fovy=45.0),
    "PickPlaceCan": Viewpoint(azimuths=(150.0, 210.0, 120.0, 240.0), elevation=-40.0, fovy=45.0),
    "Stack": Viewpoint(azimuths=(150.0, 210.0, 120.0, 240.0), elevation=-35.0, fovy=45.0),
}
_WORKSPACES = {
    "Door": ((-0.55, -0.45, 0.80), (0.15, -0.25, 0.80)),
    "Lift": ((-0.30, -0.35, 0.80), (0.35, 0.35, 0.80)),
    "PickPlaceCan": ((-0.05, -0.45, 0.80), (0.25, -0.05, 0.80)),
    "Stack": ((-0.30, -0.35, 0.80), (0.35, 0.35, 0.80)),
}
_COLLISION_GROUP, _HIDDEN_GROUP = 0, 3

_POINTING_DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_HAND_TILT = {"Door": 28.0}
"""Tilt of the hand from straight down [deg]. An upright hand does not fit between the door and
its lever."""
_SETTLING_STEPS = 30
_RADIANS_PER_STEP = 0.5


class RobosuiteScene(Scene):
    """One robosuite task. A step moves the hand's target by at most 5 cm on each axis."""

    world = "robosuite"
    gain = 40.0
    horizon = 500

    def __init__(self, task: str) -> None:
        self.task = task
        self._env: Any = robosuite.make(
            task,
            robots="Panda",
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            use_object_obs=False,
            hard_reset=False,
            ignore_done=True,
            control_freq=20,
            seed=0,
        )
        self.model = self._env.sim.model._model
        self.data = self._env.sim.data._data
        groups = self.model.geom_group
        groups[groups == _COLLISION_GROUP] = _HIDDEN_GROUP
        self.robot_bodies = subtree(self.model, self.model.body("robot0_base").id)
        self.hand_bodies = subtree(self.model, self.model.body("robot0_right_hand").id)
        self.goal_sites = frozenset()
        self.viewpoint = _VIEWPOINTS[task]
        self.workspace = np.array(_WORKSPACES[task])
        self._site = self.model.site("gripper0_right_grip_site").id
        self._target_rotation = _tilted(_POINTING_DOWN, _HAND_TILT.get(task, 0.0))
        self.reset(0)

    def reset(self, seed: int) -> None:
        """See `Scene.reset`."""
        # The samplers of initial states keep a reference to this generator.
        self._env.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        self._env.reset()
        if self.task in _HAND_TILT:
            start = self.end_effector()
            for _ in range(_SETTLING_STEPS):
                self.move_towards(start, OPEN)

    def end_effector(self) -> FloatArray:
        """See `Scene.end_effector`."""
        return np.array(self.data.site_xpos[self._site])

    def apply(self, command: Command) -> bool:
        """See `Scene.apply`."""
        motion = np.clip(command.motion, -1.0, 1.0)
        self._env.step(np.concatenate([motion, self._rotation_command(), [command.gripper]]))
        return bool(self._env._check_success())

    def expert(self) -> Iterator[Command]:
        """See `Scene.expert`."""
        return EXPERTS[self.task](self, self._env)

    def close(self) -> None:
        """See `Scene.close`."""
        self._env.close()

    def _rotation_command(self) -> FloatArray:
        """The rotation that keeps the hand's orientation, -1..1 of the fastest in one step."""
        rotation = self.data.site_xmat[self._site].reshape(3, 3)
        # Half the sum of the axes' cross products is the rotation axis times the sine of its angle.
        error = np.cross(rotation.T, self._target_rotation.T).sum(axis=0) / 2
        return np.clip(error / _RADIANS_PER_STEP, -1.0, 1.0)


def _tilted(rotation: FloatArray, degrees: float) -> FloatArray:
    """Rotated around the world's x axis, away from the robot's right side."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, sine], [0.0, -sine, cosine]]) @ rotation


class Robosuite(World):
    """The robosuite tasks that have a scripted expert."""

    name = "robosuite"
    tasks = tuple(sorted(EXPERTS))

    def open(self, task: str) -> RobosuiteScene:
        """See `World.open`."""
        if task not in self.tasks:
            raise UserError(f"robosuite has no task {task!r}; choose from {', '.join(self.tasks)}")
        return RobosuiteScene(task)

    def versions(self) -> Mapping[str, str]:
        """See `World.versions`."""
        return {name: importlib.metadata.version(name) for name in ("robosuite", "mujoco")}


WORLD = Robosuite()
