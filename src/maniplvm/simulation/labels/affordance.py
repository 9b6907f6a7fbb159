"""Where a task asks to be touched, learnt from contact forces instead of from annotators.

The rule, in words. Of the bodies that can move, take the first one that the hand touches in
earnest: one with a fair share of the episode's whole impulse, so that a brush in passing does
not count. Of its geoms, take those that carry more than a tenth of that body's impulse. Of those
geoms' surface, take what lies near the points that carry nine tenths of the impulse, so that a
long handle is not boxed from end to end; a geom no larger than a hand, or mostly near, is taken
whole. The box is the tight bound of what the camera sees of that patch in the initial state.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry.arrays import FloatArray, IntArray
from maniplvm.simulation.labels.demonstrations import Demonstration
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer, Surfaces

IN_EARNEST = 0.05
"""Least share of the episode's impulse that makes a touched body the one that is meant."""
CARRYING = 0.10
"""Least share of the body's impulse that makes a geom part of the affordance."""
PATCH_RADIUS = 0.050
"""How far from a contact point the surface still belongs to the part [m]: about a finger's pad."""
BEARING = 0.90
"""Share of the impulse that the contact points must explain, strongest first."""
WHOLE_PART = 0.45
"""A geom that the patch covers to this share is taken whole."""
HAND_SIZE = 0.16
"""A geom no larger than this is one thing to touch, and taken whole too [m]."""
_CELL = 0.01
_THICKNESS = 0.04


@dataclass(frozen=True, eq=False)
class Part:
    """The touched part of one demonstration.

    Attributes:
        body: Id of the touched body.
        geoms: Ids of the geoms that carry the force.
        first_step: Control step of the first touch in earnest.
        points: `(C, 3)` contact points, thinned out, on the part's initial pose [m, world].
        reach: `(3,)` the touching point of the gripper seen from the end effector [m, world axes].
    """

    body: int
    geoms: tuple[int, ...]
    first_step: int
    points: FloatArray
    reach: FloatArray


@dataclass(frozen=True, eq=False)
class PartView:
    """How a camera sees a part.

    Attributes:
        box: `(4,)` xyxy, tight around the visible patch [px].
        visible: Share of the patch's pixels that nothing hides.
        mask: `(H, W)` the visible patch.
    """

    box: FloatArray
    visible: float
    mask: NDArray[np.bool_]


def touched_part(model: mujoco.MjModel, demonstration: Demonstration) -> Part | None:
    """The part that the demonstration is about, or None when nothing was touched."""
    log = demonstration.contacts
    movable = np.asarray(model.body_weldid)[log.body] != 0
    log = log.where(movable) if movable.any() else log
    if not len(log) or log.impulse.sum() <= 0:
        return None
    per_body = np.bincount(log.body, weights=log.impulse)
    meant = np.flatnonzero(per_body >= IN_EARNEST * per_body.sum())
    starts = {
        int(body): _start(log.step[log.body == body], log.impulse[log.body == body])
        for body in meant
    }
    body = min(starts, key=lambda candidate: (starts[candidate], candidate))
    log = log.where((log.body == body) & (log.step >= starts[body]))
    per_geom = np.bincount(log.geom, weights=log.impulse)
    geoms = np.flatnonzero(per_geom > CARRYING * per_geom.sum())
    log = log.where(np.isin(log.geom, geoms) & (log.impulse > 0))
    share = log.impulse / log.impulse.sum()
    return Part(
        body=body,
        geoms=tuple(int(geom) for geom in geoms),
        first_step=starts[body],
        points=_on_initial_pose(demonstration.initial, body, _bearing(log.local, log.impulse)),
        reach=share @ log.reach,
    )


def view_part(
    renderer: Renderer,
    model: mujoco.MjModel,
    initial: mujoco.MjData,
    camera: Camera,
    part: Part,
    front: Surfaces,
) -> PartView | None:
    """The part in a camera's image, or None when nothing of it is in sight.

    Args:
        renderer: Of the camera's size.
        model: The scene's model.
        initial: The state to look at.
        camera: Where from.
        part: What to look for.
        front: What the camera sees with everything in place.
    """
    alone = renderer.surfaces_of(initial, camera, part.geoms)
    rows, columns = np.nonzero(alone.geom >= 0)
    if not len(rows):
        return None
    depth = alone.depth[rows, columns]
    surface = camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), depth)
    patch = _distance(surface, part.points) <= PATCH_RADIUS
    for geom in part.geoms:
        own = alone.geom[rows, columns] == geom
        small = 2 * float(model.geom_rbound[geom]) <= HAND_SIZE
        if own.any() and patch[own].mean() >= (0 if small else WHOLE_PART):
            patch |= own
    if not patch.any():
        return None
    rows, columns, depth = rows[patch], columns[patch], depth[patch]
    seen = front.geom[rows, columns]
    body = np.where(seen >= 0, np.asarray(model.geom_bodyid)[seen], -1)
    # What is drawn and what collides differ a little, so a hidden part is told by its body or,
    # behind its own body, by a depth that differs by more than the two shapes do.
    in_sight = (body == part.body) & (front.depth[rows, columns] > depth - _THICKNESS)
    mask = np.zeros(alone.geom.shape, dtype=np.bool_)
    mask[rows[in_sight], columns[in_sight]] = True
    if not mask.any():
        return None
    return PartView(box=_bound(mask), visible=float(in_sight.mean()), mask=mask)


def _start(steps: IntArray, impulses: FloatArray) -> int:
    """The step by which a hundredth of the impulse has been given: touches at rest do not count."""
    done = np.cumsum(impulses)
    return int(steps[int(np.searchsorted(done, 0.01 * done[-1]))])


def _bearing(local: FloatArray, impulse: FloatArray) -> FloatArray:
    """The fewest cells of the contact surface that bear most of the impulse, `(C, 3)` [m]."""
    cells, member = np.unique(np.round(local / _CELL), axis=0, return_inverse=True)
    borne = np.bincount(member.reshape(-1), weights=impulse)
    strongest = np.argsort(-borne, kind="stable")
    needed = int(np.searchsorted(np.cumsum(borne[strongest]), BEARING * borne.sum())) + 1
    return cells[strongest[:needed]] * _CELL


def _on_initial_pose(initial: mujoco.MjData, body: int, local: FloatArray) -> FloatArray:
    return initial.xpos[body] + local @ initial.xmat[body].reshape(3, 3).T


def _distance(surface: FloatArray, points: FloatArray) -> FloatArray:
    nearest = np.full(len(surface), np.inf)
    for point in points:
        nearest = np.minimum(nearest, np.linalg.norm(surface - point, axis=1))
    return nearest


def _bound(mask: NDArray[np.bool_]) -> FloatArray:
    rows, columns = np.nonzero(mask)
    return np.array(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64
    )
