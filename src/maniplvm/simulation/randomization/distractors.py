"""Things that lie about: drawn into the image, unknown to physics, never in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.worlds.base import Scene

MOST = 4
_CLEARANCE = 0.07
_GAP = 0.015
_NEARBY = 0.22
_TRIES = 12

# No cube, ball, cylinder or stick among them: a distractor must not answer to an instruction.
_SHAPES = {
    "pebble": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "slab": mujoco.mjtGeom.mjGEOM_BOX,
    "bottle": mujoco.mjtGeom.mjGEOM_CAPSULE,
}


@dataclass(frozen=True, eq=False)
class Distractor:
    """One thing on the table.

    Attributes:
        shape: `pebble`, `slab` or `bottle`.
        size: `(3,)` half extents; a bottle uses radius and half length [m].
        position: `(3,)` of its centre [m, world].
        turn: Around the vertical [rad].
        colour: `(3,)` RGB, 0..1.
    """

    shape: str
    size: FloatArray
    position: FloatArray
    turn: float
    colour: FloatArray

    @property
    def radius(self) -> float:
        """Of the circle on the table that holds it [m]."""
        return (
            float(np.linalg.norm(self.size[:2]))
            if self.shape == "slab"
            else float(self.size[:2].max())
        )


def scatter(
    rng: np.random.Generator, scene: Scene, initial: mujoco.MjData, path: FloatArray
) -> list[Distractor]:
    """Up to four things near the action but clear of it.

    Args:
        rng: Source of chance.
        scene: Whose table they lie on.
        initial: The state that they join.
        path: `(T, 3)` where the hand will go [m, world].
    """
    low, high = scene.workspace
    near = np.stack(
        [
            np.maximum(low[:2], path[:, :2].min(0) - _NEARBY),
            np.minimum(high[:2], path[:, :2].max(0) + _NEARBY),
        ]
    )
    taken = _footprints(scene, initial)
    placed: list[Distractor] = []
    for _ in range(int(rng.integers(1, MOST + 1))):
        for _ in range(_TRIES):
            thing = _any(rng, near, float(low[2]))
            if _is_clear(thing, path, taken, placed):
                placed.append(thing)
                break
    return placed


def draw(things: Sequence[Distractor], drawn: mujoco.MjvScene) -> None:
    """Add things to a scene that is about to be rendered."""
    for thing in things:
        geom = drawn.geoms[drawn.ngeom]
        cosine, sine = np.cos(thing.turn), np.sin(thing.turn)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        mujoco.mjv_initGeom(
            geom,
            _SHAPES[thing.shape],
            thing.size,
            thing.position,
            turn.reshape(-1),
            np.append(thing.colour, 1.0).astype(np.float32),
        )
        geom.segid = drawn.ngeom  # without an id it would be left out of the id image
        geom.objtype = mujoco.mjtObj.mjOBJ_UNKNOWN
        drawn.ngeom += 1


def _any(rng: np.random.Generator, area: FloatArray, table: float) -> Distractor:
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
    thing: Distractor, path: FloatArray, taken: FloatArray, placed: Sequence[Distractor]
) -> bool:
    centre = thing.position[:2]
    if np.linalg.norm(path[:, :2] - centre, axis=1).min() < thing.radius + _CLEARANCE:
        return False
    outside = np.maximum(np.maximum(taken[:, 0] - centre, centre - taken[:, 1]), 0.0)
    if len(taken) and np.linalg.norm(outside, axis=1).min() < thing.radius + _GAP:
        return False
    return all(
        np.linalg.norm(other.position[:2] - centre) > thing.radius + other.radius + _GAP
        for other in placed
    )


def _footprints(scene: Scene, initial: mujoco.MjData) -> FloatArray:
    """Rectangles on the table under everything but the robot and the table, `(G, 2, 2)` [m]."""
    model = scene.model
    rectangles = []
    for geom in range(model.ngeom):
        if int(model.geom_bodyid[geom]) in scene.robot_bodies or is_backdrop(model, geom):
            continue
        centre, half = model.geom_aabb[geom][:3], model.geom_aabb[geom][3:]
        rotation = initial.geom_xmat[geom].reshape(3, 3)
        middle = initial.geom_xpos[geom] + rotation @ centre
        reach = np.abs(rotation) @ half
        rectangles.append([middle[:2] - reach[:2], middle[:2] + reach[:2]])
    return np.array(rectangles).reshape(-1, 2, 2)


def is_backdrop(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom is part of the room: large, and fixed to the world."""
    fixed = int(model.body_weldid[model.geom_bodyid[geom]]) == 0
    plane = int(model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_PLANE)
    return fixed and (plane or float(model.geom_rbound[geom]) >= 0.35)
