"""Scripted experts for the Panda arm: target positions and gripper commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.worlds.base import CLOSED, OPEN, Command, Scene

TOLERANCE = 0.008
"""Distance at which a position counts as reached [m]."""
MAX_STEPS = 60
"""Number of steps after which a position counts as reached in any case."""
FINGER_STEPS = 12
"""Number of steps that the fingers need to close or open."""

UP = np.array([0.0, 0.0, 1.0])
_LATCH_TURN = 1.45
_DOOR_TURN = 0.45

Expert = Callable[[Scene, Any], Iterator[Command]]
"""Takes the scene and the robosuite environment, yields the commands of one episode."""


def lift(scene: Scene, env: Any) -> Iterator[Command]:
    """Grasp the cube and raise it."""
    cube = _body(scene, "cube_main")
    yield from _grasp(scene, cube)
    yield from _go(scene, cube + 0.15 * UP, CLOSED)


def stack(scene: Scene, env: Any) -> Iterator[Command]:
    """Grasp the small cube, place it on the large one and release it."""
    small, large = _body(scene, "cubeA_main"), _body(scene, "cubeB_main")
    yield from _grasp(scene, small)
    yield from _go(scene, small + 0.15 * UP, CLOSED)
    yield from _go(scene, large + 0.15 * UP, CLOSED)
    yield from _go(scene, large + 0.05 * UP, CLOSED)
    yield from _go(scene, large + 0.20 * UP, OPEN)


def pick_place_can(scene: Scene, env: Any) -> Iterator[Command]:
    """Grasp the can, carry it into its compartment and release it."""
    can = _body(scene, "Can_main")
    place = np.array(env.target_bin_placements[env.object_to_id["can"]])
    place[2] = can[2]
    yield from _grasp(scene, can)
    yield from _go(scene, can + 0.25 * UP, CLOSED)
    yield from _go(scene, place + 0.25 * UP, CLOSED)
    yield from _go(scene, place + 0.06 * UP, CLOSED)
    yield from _go(scene, place + 0.25 * UP, OPEN)


def door(scene: Scene, env: Any) -> Iterator[Command]:
    """Grasp the lever, turn it down until the latch is free, then open the door."""
    latch, latch_axis = _joint(scene, "Door_latch_joint")
    hinge, _ = _joint(scene, "Door_hinge")
    lever = scene.data.geom("Door_handle").xpos - latch
    outwards = float(lever @ latch_axis) * latch_axis
    along = lever - outwards
    along = along / np.linalg.norm(along)
    # The door is close behind the lever and the hand is wide: grasp in front of its centre.
    centre = latch + outwards + 0.015 * outwards / np.linalg.norm(outwards)
    grip = centre + 0.10 * along
    yield from _go(scene, grip + 0.12 * UP, OPEN)
    yield from _go(scene, grip - 0.005 * UP, OPEN)
    yield from _stay(scene, CLOSED)
    for turn in np.linspace(0.0, _LATCH_TURN, 6)[1:]:
        down = 0.10 * (np.cos(turn) * along - np.sin(turn) * UP)
        yield from _go(scene, centre + down - 0.005 * UP, CLOSED, max_steps=30)
    arm = scene.end_effector() - hinge
    for turn in np.linspace(0.0, _DOOR_TURN, 6)[1:]:
        yield from _go(scene, hinge + _turned(arm, turn), CLOSED, max_steps=30)


EXPERTS: Mapping[str, Expert] = MappingProxyType(
    {"Door": door, "Lift": lift, "PickPlaceCan": pick_place_can, "Stack": stack}
)
"""The expert of each task."""


def _grasp(scene: Scene, place: FloatArray) -> Iterator[Command]:
    yield from _go(scene, place + 0.10 * UP, OPEN)
    yield from _go(scene, place, OPEN)
    yield from _stay(scene, CLOSED)


def _go(
    scene: Scene, place: FloatArray, gripper: float, max_steps: int = MAX_STEPS
) -> Iterator[Command]:
    for _ in range(max_steps):
        error = place - scene.end_effector()
        if np.linalg.norm(error) < TOLERANCE:
            return
        yield _towards(scene, error, gripper)


def _stay(scene: Scene, gripper: float) -> Iterator[Command]:
    place = scene.end_effector()
    for _ in range(FINGER_STEPS):
        yield _towards(scene, place - scene.end_effector(), gripper)


def _towards(scene: Scene, error: FloatArray, gripper: float) -> Command:
    motion = scene.gain * error
    return Command(motion / max(1.0, float(np.abs(motion).max())), gripper)


def _body(scene: Scene, name: str) -> FloatArray:
    return np.array(scene.data.body(name).xpos)


def _joint(scene: Scene, name: str) -> tuple[FloatArray, FloatArray]:
    """Position and axis of a joint [world]."""
    joint = mujoco.mj_name2id(scene.model, mujoco.mjtObj.mjOBJ_JOINT, name)
    return np.array(scene.data.xanchor[joint]), np.array(scene.data.xaxis[joint])


def _turned(arm: FloatArray, angle: float) -> FloatArray:
    """Rotated around the vertical axis [rad]."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([cosine * arm[0] - sine * arm[1], sine * arm[0] + cosine * arm[1], arm[2]])
