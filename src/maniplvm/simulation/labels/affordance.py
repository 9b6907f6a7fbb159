"""The affordance box: where a task touches the scene, derived from contact forces.

The rule, in four steps:

1. Take the bodies that can move and that receive a minimum share of the episode's impulse. Short
   accidental contacts are thereby ignored. Of these bodies, take the one that is touched first.
2. Of its geoms, take those that carry more than a tenth of the body's impulse.
3. Of their surface, take the region near the points that carry nine tenths of the impulse. A geom
   that is no larger than a hand, or mostly within that region, is taken completely.
4. The box is the tight bound of the visible pixels of that region in the initial state.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from maniplvm.geometry.arrays import BoolArray, FloatArray, IntArray
from maniplvm.simulation.labels.demonstrations import Demonstration
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer, Segmentation

MIN_BODY_IMPULSE = 0.05
"""Minimum share of the episode's impulse that a body must receive."""
MIN_GEOM_IMPULSE = 0.10
"""Minimum share of the body's impulse that a geom must carry."""
PATCH_RADIUS = 0.050
"""Radius of the touched surface around a contact point [m], about the size of a finger pad."""
POINTS_IMPULSE = 0.90
"""Share of the impulse that the kept contact points carry, strongest first."""
WHOLE_GEOM_COVERAGE = 0.45
"""A geom is taken completely if the patch covers at least this share of it."""
HAND_SIZE = 0.16
"""A geom is also taken completely if it is no larger than this [m]."""
_CELL = 0.01
_DEPTH_TOLERANCE = 0.04


@dataclass(frozen=True, eq=False)
class TouchedPart:
    """The body and the geoms that a demonstration touches.

    Attributes:
        body: Id of the touched body.
        geoms: Ids of the geoms that carry the force.
        first_step: Control step at which the contact starts.
        points: `(C, 3)` simplified contact points at the body's initial pose [m, world].
        offset: `(3,)` from the end effector to the gripper's contact point [m, world axes].
    """

    body: int
    geoms: tuple[int, ...]
    first_step: int
    points: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False)
class PartView:
    """The touched part in a camera's image.

    Attributes:
        box: `(4,)` xyxy, tight bound of the visible patch [px].
        visible: Fraction of the patch's pixels that are not occluded, 0..1.
        mask: `(H, W)` mask of the visible patch.
    """

    box: FloatArray
    visible: float
    mask: BoolArray


def find_touched_part(model: mujoco.MjModel, demonstration: Demonstration) -> TouchedPart | None:
    """Find the part that a demonstration touches, or None if there is no contact."""
    log = demonstration.contacts
    movable = np.asarray(model.body_weldid)[log.body] != 0
    log = log.where(movable) if movable.any() else log
    if not len(log) or log.impulse.sum() <= 0:
        return None
    per_body = np.bincount(log.body, weights=log.impulse)
    candidates = np.flatnonzero(per_body >= MIN_BODY_IMPULSE * per_body.sum())
    starts = {
        int(body): _start(log.step[log.body == body], log.impulse[log.body == body])
        for body in candidates
    }
    body = min(starts, key=lambda candidate: (starts[candidate], candidate))
    log = log.where((log.body == body) & (log.step >= starts[body]))
    per_geom = np.bincount(log.geom, weights=log.impulse)
    geoms = np.flatnonzero(per_geom > MIN_GEOM_IMPULSE * per_geom.sum())
    log = log.where(np.isin(log.geom, geoms) & (log.impulse > 0))
    share = log.impulse / log.impulse.sum()
    return TouchedPart(
        body=body,
        geoms=tuple(int(geom) for geom in geoms),
        first_step=starts[body],
        points=_at_initial_pose(demonstration.initial, body, _main_points(log.local, log.impulse)),
        offset=share @ log.offset,
    )


def view_part(
    renderer: Renderer,
    model: mujoco.MjModel,
    initial: mujoco.MjData,
    camera: Camera,
    part: TouchedPart,
    segmentation: Segmentation,
) -> PartView | None:
    """The part in a camera's image, or None if no pixel of it is visible.

    Args:
        renderer: Renderer with the camera's image size.
        model: The scene's model.
        initial: The state to render.
        camera: The camera.
        part: The part to find.
        segmentation: Segmentation of the whole scene from the same camera.
    """
    part_only = renderer.segmentation_of(initial, camera, part.geoms)
    rows, columns = np.nonzero(part_only.geom >= 0)
    if not len(rows):
        return None
    depth = part_only.depth[rows, columns]
    surface = camera.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), depth)
    patch = _distance_to_nearest(surface, part.points) <= PATCH_RADIUS
    for geom in part.geoms:
        own = part_only.geom[rows, columns] == geom
        is_small = 2 * float(model.geom_rbound[geom]) <= HAND_SIZE
        if own.any() and patch[own].mean() >= (0 if is_small else WHOLE_GEOM_COVERAGE):
            patch |= own
    if not patch.any():
        return None
    rows, columns, depth = rows[patch], columns[patch], depth[patch]
    visible_geom = segmentation.geom[rows, columns]
    body = np.where(visible_geom >= 0, np.asarray(model.geom_bodyid)[visible_geom], -1)
    # Visual and collision shapes differ slightly. A pixel is occluded if it shows another body, or
    # if the depth difference on the same body is larger than that difference.
    is_visible = (body == part.body) & (
        segmentation.depth[rows, columns] > depth - _DEPTH_TOLERANCE
    )
    mask = np.zeros(part_only.geom.shape, dtype=np.bool_)
    mask[rows[is_visible], columns[is_visible]] = True
    if not mask.any():
        return None
    return PartView(box=_bound(mask), visible=float(is_visible.mean()), mask=mask)


def _start(steps: IntArray, impulses: FloatArray) -> int:
    """The step at which a hundredth of the impulse is reached. Contacts at rest are thereby ignored."""
    total = np.cumsum(impulses)
    return int(steps[int(np.searchsorted(total, 0.01 * total[-1]))])


def _main_points(local: FloatArray, impulse: FloatArray) -> FloatArray:
    """The smallest set of surface cells that carries most of the impulse, `(C, 3)` [m]."""
    cells, member = np.unique(np.round(local / _CELL), axis=0, return_inverse=True)
    cell_impulse = np.bincount(member.reshape(-1), weights=impulse)
    strongest = np.argsort(-cell_impulse, kind="stable")
    needed = (
        int(
            np.searchsorted(np.cumsum(cell_impulse[strongest]), POINTS_IMPULSE * cell_impulse.sum())
        )
        + 1
    )
    return cells[strongest[:needed]] * _CELL


def _at_initial_pose(initial: mujoco.MjData, body: int, local: FloatArray) -> FloatArray:
    return initial.xpos[body] + local @ initial.xmat[body].reshape(3, 3).T


def _distance_to_nearest(surface: FloatArray, points: FloatArray) -> FloatArray:
    nearest = np.full(len(surface), np.inf)
    for point in points:
        nearest = np.minimum(nearest, np.linalg.norm(surface - point, axis=1))
    return nearest


def _bound(mask: BoolArray) -> FloatArray:
    rows, columns = np.nonzero(mask)
    return np.array(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64
    )
