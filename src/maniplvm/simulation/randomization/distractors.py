"""Distractors: rendered objects without physics, beside the path of the hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.worlds.base import Scene

MAX_DISTRACTORS = 4
"""Maximum number of distractors in an image."""
_CLEARANCE = 0.07
_GAP = 0.015
_NEARBY = 0.22
_TRIES = 12

# Instructions name cubes, balls, cylinders and sticks, so distractors have other shapes.
_SHAPES = {
    "pebble": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "slab": mujoco.mjtGeom.mjGEOM_BOX,
    "bottle": mujoco.mjtGeom.mjGEOM_CAPSULE,
}


@dataclass(frozen=True, eq=False)
class Distractor:
    """One distractor on the table.

    Attributes:
        shape: `pebble`, `slab` or `bottle`.
        size: `(3,)` half extents; radius and half length for a bottle [m].
        position: `(3,)` position of the centre [m, world].
        turn: Rotation around the vertical axis [rad].
        colour: `(3,)` RGB, 0..1.
    """

    shape: str
    size: FloatArray
    position: FloatArray
    turn: float
    colour: FloatArray

    @property
    def radius(self) -> float:
        """Radius of the enclosing circle on the table [m]."""
        return (
            float(np.linalg.norm(self.size[:2]))
            if self.shape == "slab"
            else float(self.size[:2].max())
        )


def place_distractors(
    rng: np.random.Generator, scene: Scene, initial: mujoco.MjData, path: FloatArray
) -> list[Distractor]:
    """Draw one to four distractors that stay clear of the hand's path and of all objects.

    Args:
        rng: Random generator.
        scene: The scene.
        initial: Initial state of the scene.
        path: `(T, 3)` path of the hand [m, world].
    """
    low, high = scene.workspace
    near = np.stack(
        [
            np.maximum(low[:2], path[:, :2].min(0) - _NEARBY),
            np.minimum(high[:2], path[:, :2].max(0) + _NEARBY),
        ]
    )
    occupied = _footprints(scene, initial)
    placed: list[Distractor] = []
    for _ in range(int(rng.integers(1, MAX_DISTRACTORS + 1))):
        for _ in range(_TRIES):
            distractor = _sample(rng, near, float(low[2]))
            if _is_clear(distractor, path, occupied, placed):
                placed.append(distractor)
                break
    return placed


def add_distractors(distractors: Sequence[Distractor], visual: mujoco.MjvScene) -> None:
    """Add distractors to the visual scene before it is rendered."""
    for distractor in distractors:
        geom = visual.geoms[visual.ngeom]
        cosine, sine = np.cos(distractor.turn), np.sin(distractor.turn)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        mujoco.mjv_initGeom(
            geom,
            _SHAPES[distractor.shape],
            distractor.size,
            distractor.position,
            turn.reshape(-1),
            np.append(distractor.colour, 1.0).astype(np.float32),
        )
        geom.segid = visual.ngeom  # geoms without an id are missing in the segmentation
        geom.objtype = mujoco.mjtObj.mjOBJ_UNKNOWN
        visual.ngeom += 1


def _sample(rng: np.random.Generator, area: FloatArray, table: float) -> Distractor:
    shape = str(rng.choice(list(_SHAPES)))
    if shape == "pebble":
        size = np.append(rng.uniform(0.018, 0.034, 2), rng.uniform(0.009, 0.015))
        height = size[2]
    elif shape == "slab":
        size = np.append(rng.uniform(0.025, 0.055, 2), rng.uniform(0.003, 0.008))
        height = size[2]
    else:
        radius, half = rng.uniform(0.010, 0.018), rng.uniform(0.025, 0.045)
        size = np.array([radius, radius, half])
        height = radius + half
    place = rng.uniform(area[0], np.maximum(area[1], area[0]))
    return Distractor(
        shape=shape,
        size=size,
        position=np.append(place, table + height),
        turn=float(rng.uniform(0, np.pi)),
        colour=rng.uniform(0.1, 0.9, 3),
    )


def _is_clear(
    distractor: Distractor, path: FloatArray, occupied: FloatArray, placed: Sequence[Distractor]
) -> bool:
    centre = distractor.position[:2]
    if np.linalg.norm(path[:, :2] - centre, axis=1).min() < distractor.radius + _CLEARANCE:
        return False
    outside = np.maximum(np.maximum(occupied[:, 0] - centre, centre - occupied[:, 1]), 0.0)
    if len(occupied) and np.linalg.norm(outside, axis=1).min() < distractor.radius + _GAP:
        return False
    return all(
        np.linalg.norm(other.position[:2] - centre) > distractor.radius + other.radius + _GAP
        for other in placed
    )


def _footprints(scene: Scene, initial: mujoco.MjData) -> FloatArray:
    """Bounding rectangles on the table of all objects, `(G, 2, 2)` [m]."""
    model = scene.model
    rectangles = []
    for geom in range(model.ngeom):
        if int(model.geom_bodyid[geom]) in scene.robot_bodies or is_background(model, geom):
            continue
        centre, half = model.geom_aabb[geom][:3], model.geom_aabb[geom][3:]
        rotation = initial.geom_xmat[geom].reshape(3, 3)
        middle = initial.geom_xpos[geom] + rotation @ centre
        reach = np.abs(rotation) @ half
        rectangles.append([middle[:2] - reach[:2], middle[:2] + reach[:2]])
    return np.array(rectangles).reshape(-1, 2, 2)


def is_background(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom belongs to the room: it is large and fixed to the world."""
    fixed = int(model.body_weldid[model.geom_bodyid[geom]]) == 0
    plane = int(model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_PLANE)
    return fixed and (plane or float(model.geom_rbound[geom]) >= 0.35)
