"""The push test: does a push inside a predicted box bring the task nearer to its goal?

The test uses the scene's initial state, the camera and the task's own distance to its goal. It
uses no demonstration and no target.

A ray through the box's centre finds the visible surface. If its body can move, an external probe
force pushes and pulls at that point in ten directions. The force grows until the point moves, and
each push starts from the initial state. The box helps if one push reduces the distance to the
goal, compared to no push. In a world without a distance, it helps if the point moves.

The fit of a box is its IoU with the tight bound of the touched surface in the image. That surface
is the region around the point, or the whole geom if it is no larger than a hand. The sizes are
those of `simulation.labels.affordance`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maniplvm.geometry import iou
from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.execution.executor import SceneCache
from maniplvm.simulation.labels.affordance import HAND_SIZE, PATCH_RADIUS
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.worlds.base import Scene

MIN_IMPROVEMENT = 0.005
"""Minimum reduction of the distance to the goal [m]."""
MAX_STROKE = 0.04
"""Maximum displacement of the point [m]. A quarter of it counts as moved."""
MAX_STEPS = 160
"""Maximum number of physics steps of one push."""
MIN_FORCE, MAX_FORCE = 0.05, 50.0
"""First and largest probe force [N]."""
_GROWTH = 1.08
_TARGET_SPEED, _MAX_SPEED = 0.12, 0.25
_STRIDE = 2
_VISIBLE_GROUPS = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


def _directions() -> list[FloatArray]:
    flat = [(x, y, 0) for x, y in product((-1, 0, 1), repeat=2) if (x, y) != (0, 0)]
    return [np.array(d) / np.linalg.norm(d) for d in [(0, 0, -1), *flat, (0, 0, 1)]]


_DIRECTIONS = _directions()


class PushOutcome(StrEnum):
    """Outcome of a push test."""

    HELPS = "helps"
    """A push brings the task nearer to its goal."""
    MOVES_ONLY = "moves_only"
    """The body can move, but no push helps."""
    FIXED = "fixed"
    """The body is fixed to the world."""
    ROBOT = "robot"
    """The visible surface belongs to the robot."""
    NOTHING = "nothing"
    """There is no surface, or no valid box."""
    TIMEOUT = "timeout"
    """The allowed seconds were used up."""
    CRASHED = "crashed"
    """The simulator failed. This says nothing about the box."""


@dataclass(frozen=True)
class PushTestResult:
    """The result of one push test.

    Attributes:
        outcome: Outcome for the centre of the box.
        fit: IoU with the touched surface in the image, 0..1; 0 unless a push helps.
    """

    outcome: PushOutcome
    fit: float = 0.0

    @property
    def helps(self) -> bool:
        """Whether a push brings the task nearer to its goal."""
        return self.outcome is PushOutcome.HELPS


def run_push_test(
    reference: Provenance, box: ArrayLike, scenes: SceneCache, timeout: float | None = None
) -> PushTestResult:
    """Push at the centre of a box in the scene's initial state.

    The result is a pure function of the arguments unless the time limit is reached.

    Args:
        reference: Provenance of the sample. World, task, seed and camera are used.
        box: `(4,)` xyxy [px of the original image].
        scenes: Cache of compiled scenes.
        timeout: Time limit [s].
    """
    xyxy = np.asarray(box, dtype=np.float64)
    if xyxy.shape != (4,) or not np.isfinite(xyxy).all():
        return PushTestResult(PushOutcome.NOTHING)
    scene = scenes.get(reference.world, reference.task)
    scene.reset(reference.seed)
    centre = (xyxy[:2] + xyxy[2:]) / 2
    geom, point = _cast_rays(scene, reference.camera, centre[None])
    outcome = _push_all_directions(scene, int(geom[0]), point[0], timeout)
    if outcome is not PushOutcome.HELPS:
        return PushTestResult(outcome)
    surface = _bound(scene, reference.camera, int(geom[0]), point[0])
    fit = 0.0 if surface is None else float(iou(xyxy[None], surface[None])[0])
    return PushTestResult(outcome, fit)


def _push_all_directions(
    scene: Scene, geom: int, point: FloatArray, timeout: float | None
) -> PushOutcome:
    if geom < 0:
        return PushOutcome.NOTHING
    body = int(scene.model.geom_bodyid[geom])
    if body in scene.robot_bodies:
        return PushOutcome.ROBOT
    if int(scene.model.body_weldid[body]) == 0:
        return PushOutcome.FIXED
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    probe = _ProbeForce(scene, body, point)
    probe.push(np.zeros(3))
    at_rest = scene.goal_distance()
    for direction in _DIRECTIONS:
        if time.monotonic() > deadline:
            return PushOutcome.TIMEOUT
        moved = probe.push(direction)
        now = scene.goal_distance()
        has_moved = at_rest is None and moved > MAX_STROKE / 4
        if has_moved or (
            at_rest is not None and now is not None and at_rest - now > MIN_IMPROVEMENT
        ):
            probe.reset()
            return PushOutcome.HELPS
    return PushOutcome.MOVES_ONLY


class _ProbeForce:
    """An external force on one point of a body. Each push starts from the initial state."""

    def __init__(self, scene: Scene, body: int, point: FloatArray) -> None:
        self._model, self._data, self._body = scene.model, scene.data, body
        self._start = np.zeros(mujoco.mj_stateSize(self._model, _STATE))
        mujoco.mj_getState(self._model, self._data, self._start, _STATE)
        rotation = self._data.xmat[body].reshape(3, 3)
        self._local = rotation.T @ (point - self._data.xpos[body])

    def push(self, direction: FloatArray) -> float:
        """Push in a direction and return the displacement along it [m].

        The force grows while the point is slow, and is off while the point is too fast. Light
        cubes and heavy doors therefore both move without being thrown.
        """
        model, data = self._model, self._data
        self.reset()
        first = before = self._point()
        force = MIN_FORCE
        for _ in range(MAX_STEPS):
            here = self._point()
            if (here - first) @ direction > MAX_STROKE:
                break
            speed = float((here - before) @ direction) / model.opt.timestep
            before = here
            if speed < _TARGET_SPEED:
                force = min(MAX_FORCE, force * _GROWTH)
            applied = direction * (force if speed < _MAX_SPEED else 0.0)
            data.xfrc_applied[self._body, :3] = applied
            data.xfrc_applied[self._body, 3:] = np.cross(here - data.xipos[self._body], applied)
            mujoco.mj_step(model, data)
        data.xfrc_applied[:] = 0
        mujoco.mj_forward(model, data)
        return float((self._point() - first) @ direction)

    def reset(self) -> None:
        """Restore the initial state."""
        mujoco.mj_setState(self._model, self._data, self._start, _STATE)
        mujoco.mj_forward(self._model, self._data)

    def _point(self) -> FloatArray:
        rotation = self._data.xmat[self._body].reshape(3, 3)
        return np.array(self._data.xpos[self._body] + rotation @ self._local)


def _bound(scene: Scene, camera: Camera, geom: int, point: FloatArray) -> FloatArray | None:
    """The tight bound of a geom's surface around a point, `(4,)` xyxy [px]."""
    width, height = camera.size
    columns, rows = (np.arange(_STRIDE / 2, side, _STRIDE) for side in (width, height))
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    geoms, points = _cast_rays(scene, camera, pixels)
    own = geoms == geom
    if 2 * float(scene.model.geom_rbound[geom]) > HAND_SIZE:
        own &= np.linalg.norm(points - point, axis=1) <= PATCH_RADIUS
    if not own.any():
        return None
    low, high = pixels[own].min(axis=0), pixels[own].max(axis=0)
    return np.concatenate([low - _STRIDE / 2, high + _STRIDE / 2])


def _cast_rays(
    scene: Scene, camera: Camera, pixels: FloatArray
) -> tuple[NDArray[np.int32], FloatArray]:
    """The visible geoms at pixels `(N, 2)`, -1 for none, and the `(N, 3)` hit points [m, world]."""
    count = len(pixels)
    rays = camera.unproject(pixels, np.ones(count)) - camera.position
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    geoms, distances = np.full(count, -1, dtype=np.int32), np.zeros(count)
    mujoco.mj_multiRay(
        m=scene.model,
        d=scene.data,
        pnt=camera.position,
        vec=np.ascontiguousarray(rays).reshape(-1),
        geomgroup=_VISIBLE_GROUPS,
        flg_static=1,
        bodyexclude=-1,
        geomid=geoms,
        dist=distances,
        nray=count,
        cutoff=float(mujoco.mjMAXVAL),
    )
    return geoms, camera.position + rays * distances[:, None]
