"""From one seed to finished samples: demonstrate, find the part, choose a view, take the image."""

from __future__ import annotations

import io
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.closing import Closing
from maniplvm.simulation.generation.splits import Split
from maniplvm.simulation.labels.affordance import (
    PATCH_RADIUS,
    Part,
    PartView,
    touched_part,
    view_part,
)
from maniplvm.simulation.labels.demonstrations import Demonstration, demonstrate
from maniplvm.simulation.labels.instructions import instructions
from maniplvm.simulation.labels.traces import Waypoints, waypoints
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.appearance import Appearance, Variety, any_framing
from maniplvm.simulation.randomization.distractors import Distractor, draw, scatter
from maniplvm.simulation.scene.cameras import Camera, frame
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Scene
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task, TraceTarget

EXPERT_FAILED = "expert failed"
NOTHING_TOUCHED = "nothing touched"
OUT_OF_FRAME = "no view frames it"
HIDDEN = "part hidden"
TOO_SMALL = "part too small"

LEAST_VISIBLE = 0.6
"""Least share of the part that must be in sight; otherwise the camera is aimed again."""
LEAST_SIDE = 0.02
LEAST_MEAN_SIDE = 0.04
HELD_OUT_SHARE = 0.5
"""How often a test sample uses a wording that no teaching split uses."""
JPEG_QUALITY = 90
_TRIES = (0, 0, 1, 0, 2, 1, 3, 0)


@dataclass(frozen=True, eq=False)
class Shot:
    """A usable view of a demonstration."""

    camera: Camera
    view: PartView
    things: list[Distractor]


class Studio(Closing):
    """A scene with everything needed to photograph it; close it, or use it in a `with` block.

    Args:
        scene: It belongs to the studio from now on, and is closed with it.
        size: `(width, height)` of the images [px].
        variety: What may vary.
        versions: Of the packages that decide the physics, for provenance.
    """

    def __init__(
        self, scene: Scene, size: tuple[int, int], variety: Variety, versions: Mapping[str, str]
    ) -> None:
        self.scene = scene
        self._size = size
        self._variety = variety
        self._versions = versions
        self._said = instructions(scene.world, scene.task)
        for site in range(scene.model.nsite):
            if not (self._said.marker and site in scene.goal_sites):
                scene.model.site_rgba[site, 3] = 0.0
        self._appearance = Appearance(scene)
        self._renderer = Renderer(scene.model, size)

    def close(self) -> None:
        """Close the scene and free the OpenGL context."""
        self._renderer.close()
        self.scene.close()

    def samples(self, split: Split, seed: int, views: int) -> tuple[list[Sample], Counter[str]]:
        """All samples of one initial state, two for each image.

        The outcome depends on the arguments alone, never on what the studio did before.

        Args:
            split: Decides on wordings and textures.
            seed: Of the initial state.
            views: How many images to take.

        Returns:
            The samples, affordance before trajectory, and how many images were given up for
            which cause.
        """
        demonstration = demonstrate(self.scene, seed)
        if not demonstration.success:
            return [], Counter({EXPERT_FAILED: views})
        part = touched_part(self.scene.model, demonstration)
        if part is None:
            return [], Counter({NOTHING_TOUCHED: views})
        path = waypoints(demonstration, part)
        made: list[Sample] = []
        dropped: Counter[str] = Counter()
        name = zlib.crc32(f"{self.scene.world}/{self.scene.task}".encode())
        for number in range(views):
            rng = np.random.default_rng([seed, number, name])
            wording = self._wording(rng, split)
            look = self._appearance.dress(rng, self._variety, split.teaches, self._renderer)
            shot = self._shot(rng, demonstration, part, path)
            if isinstance(shot, str):
                dropped[shot] += 1
                continue
            made += self._developed(split, number, wording, look, demonstration, part, path, shot)
        return made, dropped

    def _wording(self, rng: np.random.Generator, split: Split) -> str:
        unusual, choice = rng.uniform() < HELD_OUT_SHARE, rng.uniform()
        said = self._said.held_out if unusual and not split.teaches else self._said.seen
        return said[int(choice * len(said))]

    def _shot(
        self, rng: np.random.Generator, demonstration: Demonstration, part: Part, path: Waypoints
    ) -> Shot | str:
        """The first usable view, or the cause that the last try failed for."""
        traced = demonstration.path + path.offset
        things = (
            scatter(rng, self.scene, demonstration.initial, np.vstack([demonstration.path, traced]))
            if self._variety.distractors
            else []
        )
        subject = np.vstack([traced, part.points - PATCH_RADIUS, part.points + PATCH_RADIUS])
        if self._said.marker:
            subject = np.vstack([subject, self._goals(demonstration.initial)])
        azimuths = self.scene.viewpoint.azimuths
        cause = OUT_OF_FRAME
        for choice in _TRIES:
            azimuth = azimuths[choice % len(azimuths)]
            framing = any_framing(rng, self.scene.viewpoint, azimuth, self._variety)
            camera = frame(subject, framing, self._size)
            if camera is None:
                continue
            view = self._look(demonstration.initial, camera, part, things)
            if view is None or view.visible < LEAST_VISIBLE:
                cause = HIDDEN
            elif _is_small(view.box, self._size):
                cause = TOO_SMALL
            else:
                return Shot(camera, view, things)
        return cause

    def _look(
        self, initial: mujoco.MjData, camera: Camera, part: Part, things: list[Distractor]
    ) -> PartView | None:
        front = self._renderer.surfaces(initial, camera, lambda drawn: draw(things, drawn))
        return view_part(self._renderer, self.scene.model, initial, camera, part, front)

    def _decorate(self, drawn: mujoco.MjvScene, things: list[Distractor]) -> None:
        self._appearance.aim_lights(drawn)
        draw(things, drawn)

    def _goals(self, initial: mujoco.MjData) -> FloatArray:
        return initial.site_xpos[sorted(self.scene.goal_sites)]

    def _developed(
        self,
        split: Split,
        number: int,
        wording: str,
        look: dict[str, Any],
        demonstration: Demonstration,
        part: Part,
        path: Waypoints,
        shot: Shot,
    ) -> list[Sample]:
        scene = self.scene
        picture = self._renderer.image(
            demonstration.initial, shot.camera, lambda drawn: self._decorate(drawn, shot.things)
        )
        pixels, depth = shot.camera.project(path.points)
        trace = np.round(pixels, 3)
        record = Provenance(
            world=scene.world,
            task=scene.task,
            seed=demonstration.seed,
            view=number,
            camera=shot.camera,
            part=self._said.part,
            goal_marker=self._said.marker,
            touched_body=scene.model.body(part.body).name or f"#{part.body}",
            touched_geoms=part.geoms,
            visible_fraction=round(shot.view.visible, 4),
            trace=trace,
            waypoint_depths=np.round(depth, 5),
            gripper=np.round(path.gripper, 4),
            contact_waypoint=int(np.argmin(np.abs(path.steps - part.first_step))),
            traced_offset=np.round(path.offset, 5),
            expert_steps=demonstration.steps,
            look=look | {"distractors": [thing.shape for thing in shot.things]},
            versions=self._versions,
        ).to_json()
        targets: dict[Task, Target] = {
            Task.AFFORDANCE: BoxTarget(shot.view.box),
            Task.TRAJECTORY: TraceTarget(trace),
        }
        image = _jpeg(picture)
        return [
            Sample(
                id=f"{scene.world}/{scene.task}/{demonstration.seed}/{number}/{task}",
                task=task,
                instruction=wording,
                image_size=self._size,
                target=target,
                image=image,
                split=split.name,
                category=scene.task,
                scene=f"{scene.world}/{scene.task}/{demonstration.seed}",
                part=self._said.part,
                provenance=record,
            )
            for task, target in targets.items()
        ]


def _is_small(box: FloatArray, size: tuple[int, int]) -> bool:
    sides = (box[2:] - box[:2]) / np.array(size)
    return bool(sides.min() < LEAST_SIDE or sides.mean() < LEAST_MEAN_SIDE)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
