"""Would a touch inside this box help? A finger that only physics knows, sent to one pixel.

No demonstration is used, and no target: only the scene in its first state, the camera, and the
task's own distance to its goal. The ray through the box's centre finds a surface that the image
shows. If it belongs to something that can move, an invisible finger pushes and pulls at that point
in ten directions, harder and harder until it gives way, always from the same first state. The
touch helps if one of them brings the task nearer to its goal than doing nothing does; in a world
that measures no distance, if the point gives way.

How well the box fits what it touches: its IoU with the tight bound of the touched surface as the
camera sees it, within a finger's pad around the touch, or all of a geom no larger than a hand (the
same sizes as in `simulation.affordance`).
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
from maniplvm.simulation.execution.executor import Scenes
from maniplvm.simulation.labels.affordance import HAND_SIZE, PATCH_RADIUS
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.worlds.base import Scene

NEARER = 0.005
"""How much nearer to the goal a touch must bring the task [m]."""
STROKE = 0.04
"""How far the finger takes the touched point [m]; a quarter of it counts as giving way."""
LONGEST = 160
"""Physics steps of one push."""
WEAKEST, STRONGEST = 0.05, 50.0
"""Where the finger's force starts, and where it ends [N]."""
_GROWTH = 1.08
_AT_SPEED, _TOO_FAST = 0.12, 0.25
_STRIDE = 2
_SHOWN = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


def _directions() -> list[FloatArray]:
    flat = [(x, y, 0) for x, y in product((-1, 0, 1), repeat=2) if (x, y) != (0, 0)]
    return [np.array(d) / np.linalg.norm(d) for d in [(0, 0, -1), *flat, (0, 0, 1)]]


_DIRECTIONS = _directions()


class Contact(StrEnum):
    """What a touch came to."""

    HELPS = "helps"
    """It brings the task nearer to its goal."""
    MOVES_ONLY = "moves_only"
    """The touched thing can move, but that does not help."""
    FIXED = "fixed"
    """The touched thing belongs to the room."""
    ROBOT = "robot"
    """The robot itself is in front."""
    NOTHING = "nothing"
    """There is nothing to touch, or no box."""
    TIMEOUT = "timeout"
    """The allowed seconds ran out."""
    CRASHED = "crashed"
    """The simulator failed; says nothing about the box."""


@dataclass(frozen=True)
class Touch:
    """What became of one box.

    Attributes:
        contact: Of its centre.
        fit: IoU with the touched surface as the camera sees it, 0..1; 0 unless the touch helps.
    """

    contact: Contact
    fit: float = 0.0

    @property
    def helps(self) -> bool:
        """Whether the touch brings the task nearer to its goal."""
        return self.contact is Contact.HELPS


def touch_box(
    reference: Provenance, box: ArrayLike, scenes: Scenes, timeout: float | None = None
) -> Touch:
    """Touch the centre of a box in the scene's first state; a pure function but for the timeout.

    Args:
        reference: Of the sample that asked for the box: world, task, seed and camera are used.
        box: `(4,)` xyxy [px of the original image].
        scenes: Where compiled scenes are kept.
        timeout: Most seconds to spend on pushing.
    """
    xyxy = np.asarray(box, dtype=np.float64)
    if xyxy.shape != (4,) or not np.isfinite(xyxy).all():
        return Touch(Contact.NOTHING)
    scene = scenes.get(reference.world, reference.task)
    scene.reset(reference.seed)
    centre = (xyxy[:2] + xyxy[2:]) / 2
    geom, point = _seen(scene, reference.camera, centre[None])
    contact = _contact(scene, int(geom[0]), point[0], timeout)
    if contact is not Contact.HELPS:
        return Touch(contact)
    surface = _bound(scene, reference.camera, int(geom[0]), point[0])
    return Touch(contact, 0.0 if surface is None else float(iou(xyxy[None], surface[None])[0]))


def _contact(scene: Scene, geom: int, point: FloatArray, timeout: float | None) -> Contact:
    if geom < 0:
        return Contact.NOTHING
    body = int(scene.model.geom_bodyid[geom])
    if body in scene.robot_bodies:
        return Contact.ROBOT
    if int(scene.model.body_weldid[body]) == 0:
        return Contact.FIXED
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    finger = _Finger(scene, body, point)
    finger.push(np.zeros(3))
    at_rest = scene.goal_distance()
    for direction in _DIRECTIONS:
        if time.monotonic() > deadline:
            return Contact.TIMEOUT
        moved = finger.push(direction)
        now = scene.goal_distance()
        gave_way = at_rest is None and moved > STROKE / 4
        if gave_way or (at_rest is not None and now is not None and at_rest - now > NEARER):
            finger.undo()
            return Contact.HELPS
    return Contact.MOVES_ONLY


class _Finger:
    """Pushes one point of a body, each time from the state in which it was made."""

    def __init__(self, scene: Scene, body: int, point: FloatArray) -> None:
        self._model, self._data, self._body = scene.model, scene.data, body
        self._start = np.zeros(mujoco.mj_stateSize(self._model, _STATE))
        mujoco.mj_getState(self._model, self._data, self._start, _STATE)
        rotation = self._data.xmat[body].reshape(3, 3)
        self._local = rotation.T @ (point - self._data.xpos[body])

    def push(self, direction: FloatArray) -> float:
        """Push for a while; how far the point has gone that way [m].

        The force grows while the point hardly moves, and is off while it moves too fast, so that
        a cube of ten grams and a door are both taken along without being thrown.
        """
        model, data = self._model, self._data
        self.undo()
        first = before = self._point()
        force = WEAKEST
        for _ in range(LONGEST):
            here = self._point()
            if (here - first) @ direction > STROKE:
                break
            speed = float((here - before) @ direction) / model.opt.timestep
            before = here
            if speed < _AT_SPEED:
                force = min(STRONGEST, force * _GROWTH)
            applied = direction * (force if speed < _TOO_FAST else 0.0)
            data.xfrc_applied[self._body, :3] = applied
            data.xfrc_applied[self._body, 3:] = np.cross(here - data.xipos[self._body], applied)
            mujoco.mj_step(model, data)
        data.xfrc_applied[:] = 0
        mujoco.mj_forward(model, data)
        return float((self._point() - first) @ direction)

    def undo(self) -> None:
        """Back to the first state."""
        mujoco.mj_setState(self._model, self._data, self._start, _STATE)
        mujoco.mj_forward(self._model, self._data)

    def _point(self) -> FloatArray:
        rotation = self._data.xmat[self._body].reshape(3, 3)
        return np.array(self._data.xpos[self._body] + rotation @ self._local)


def _bound(scene: Scene, camera: Camera, geom: int, point: FloatArray) -> FloatArray | None:
    """The tight bound of a geom's surface around a point of it, `(4,)` xyxy [px]."""
    width, height = camera.size
    columns, rows = (np.arange(_STRIDE / 2, side, _STRIDE) for side in (width, height))
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    geoms, points = _seen(scene, camera, pixels)
    own = geoms == geom
    if 2 * float(scene.model.geom_rbound[geom]) > HAND_SIZE:
        own &= np.linalg.norm(points - point, axis=1) <= PATCH_RADIUS
    if not own.any():
        return None
    low, high = pixels[own].min(axis=0), pixels[own].max(axis=0)
    return np.concatenate([low - _STRIDE / 2, high + _STRIDE / 2])


def _seen(scene: Scene, camera: Camera, pixels: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
    """The geoms in front at pixels `(N, 2)`, -1 for none, and where the rays meet them [m]."""
    count = len(pixels)
    rays = camera.unproject(pixels, np.ones(count)) - camera.position
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    geoms, distances = np.full(count, -1, dtype=np.int32), np.zeros(count)
    mujoco.mj_multiRay(
        m=scene.model,
        d=scene.data,
        pnt=camera.position,
        vec=np.ascontiguousarray(rays).reshape(-1),
        geomgroup=_SHOWN,
        flg_static=1,
        bodyexclude=-1,
        geomid=geoms,
        dist=distances,
        nray=count,
        cutoff=float(mujoco.mjMAXVAL),
    )
    return geoms, camera.position + rays * distances[:, None]
