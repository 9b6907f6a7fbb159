"""Meta-World: fifty tabletop tasks of a Sawyer arm, with scripted experts (Yu et al., 2019)."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import metaworld.policies
import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as ENVIRONMENTS

from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.worlds.base import Command, Scene, Viewpoint, World, subtree

_SUFFIX = "-goal-observable"
_TASKS = tuple(sorted(name.removesuffix(_SUFFIX) for name in ENVIRONMENTS))
_VIEWPOINT = Viewpoint(azimuths=(145.0, 35.0, 110.0, 70.0), elevation=-38.0, fovy=45.0)
_WORKSPACE = ((-0.40, 0.42, 0.0), (0.40, 0.92, 0.0))


def _experts() -> dict[str, type[Any]]:
    experts = {}
    for name, policy in inspect.getmembers(metaworld.policies, inspect.isclass):
        words = re.findall(r"[A-Z][a-z]*", name.removeprefix("Sawyer").removesuffix("V3Policy"))
        experts["-".join(words).lower() + "-v3"] = policy
    experts["peg-insert-side-v3"] = experts["peg-insertion-side-v3"]
    return experts


_EXPERTS = _experts()


class MetaWorldScene(Scene):
    """One Meta-World task. A step moves the hand by at most 1 cm on each axis."""

    world = "metaworld"
    viewpoint = _VIEWPOINT
    gain = 25.0
    horizon = 500

    def __init__(self, task: str) -> None:
        self.task = task
        build: Any = ENVIRONMENTS[task + _SUFFIX]
        self._env = build(seed=0)
        self._env.seeded_rand_vec = True
        self.model = self._env.model
        self.data = self._env.data
        hand = self.model.body("right_hand").id
        root = hand
        while self.model.body_parentid[root] != 0:
            root = int(self.model.body_parentid[root])
        self.robot_bodies = subtree(self.model, root)
        self.hand_bodies = subtree(self.model, hand)
        self.workspace = np.array(_WORKSPACE)
        self.reset(0)
        self.goal_sites = frozenset(
            self.model.site(name).id for name, _ in self._env._target_site_config
        )

    def reset(self, seed: int) -> None:
        """See `Scene.reset`."""
        env = self._env
        env.seed(seed)
        env._freeze_rand_vec = False
        self._observation, _ = env.reset()
        env._freeze_rand_vec = True
        mujoco.mj_forward(self.model, self.data)
        self._place_goal_sites()

    def end_effector(self) -> FloatArray:
        """See `Scene.end_effector`."""
        return np.array(self._env.tcp_center)

    def apply(self, command: Command) -> bool:
        """See `Scene.apply`."""
        action = np.append(command.motion, command.gripper).astype(np.float32)
        self._observation, _, _, _, info = self._env.step(action)
        return bool(info["success"])

    def goal_distance(self) -> float | None:
        """See `Scene.goal_distance`. Five tasks always return 0, which counts as no distance."""
        env = self._env
        before = env._prev_obs
        observation = env._get_obs()  # overwrites `_prev_obs`
        env._prev_obs = before
        _, info = env.evaluate_state(observation, np.zeros(4, dtype=np.float32))
        return float(info["obj_to_target"]) or None

    def expert(self) -> Iterator[Command]:
        """See `Scene.expert`."""
        policy = _EXPERTS[self.task]()
        while True:
            with warnings.catch_warnings():
                # The experts exceed full speed, and Meta-World warns about that at every step.
                warnings.simplefilter("ignore", UserWarning)
                action = np.clip(policy.get_action(self._observation), -1.0, 1.0)
            yield Command(action[:3].astype(np.float64), float(action[3]))

    def close(self) -> None:
        """See `Scene.close`."""
        self._env.close()

    def _place_goal_sites(self) -> None:
        # A forward pass moves the goal sites back to their positions in the XML file.
        for name, position in self._env._target_site_config:
            self.data.site(name).xpos = position[:3]


class MetaWorld(World):
    """The Meta-World tasks."""

    name = "metaworld"
    tasks = _TASKS

    def open(self, task: str) -> MetaWorldScene:
        """See `World.open`."""
        if task not in _TASKS:
            raise UserError(f"metaworld has no task {task!r}; choose from {', '.join(_TASKS)}")
        return MetaWorldScene(task)

    def versions(self) -> Mapping[str, str]:
        """See `World.versions`."""
        return {name: importlib.metadata.version(name) for name in ("metaworld", "mujoco")}


WORLD = MetaWorld()
