"""Samples of one scene: run the expert, find the touched part, choose a view, render it."""

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
from maniplvm.simulation.generation.plan import Split
from maniplvm.simulation.labels.affordance import (
    PATCH_RADIUS,
    PartView,
    TouchedPart,
    find_touched_part,
    view_part,
)
from maniplvm.simulation.labels.demonstrations import Demonstration, demonstrate
from maniplvm.simulation.labels.instructions import instructions
from maniplvm.simulation.labels.traces import Waypoints, waypoints
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.appearance import Appearance
from maniplvm.simulation.randomization.distractors import (
    Distractor,
    add_distractors,
    place_distractors,
)
from maniplvm.simulation.randomization.domain_randomization import (
    DomainRandomization,
    sample_framing,
)
from maniplvm.simulation.scene.cameras import Camera, fit_camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Closeable, Scene
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task, TraceTarget

EXPERT_FAILED = "expert failed"
NOTHING_TOUCHED = "nothing touched"
OUT_OF_FRAME = "no view frames it"
HIDDEN = "part hidden"
TOO_SMALL = "part too small"

MIN_VISIBLE = 0.6
"""Minimum visible fraction of the part. Below it, another camera pose is tried."""
MIN_SIDE = 0.02
"""Minimum side of the box, as a share of the image."""
MIN_MEAN_SIDE = 0.04
"""Minimum mean side of the box, as a share of the image."""
HELD_OUT_SHARE = 0.5
"""Probability that a test sample uses a phrasing that no training split uses."""
JPEG_QUALITY = 90
_AZIMUTH_CHOICES = (0, 0, 1, 0, 2, 1, 3, 0)


@dataclass(frozen=True, eq=False)
class View:
    """A usable view of a demonstration.

    Attributes:
        camera: The camera.
        part: The touched part in the image.
        distractors: The distractors in the scene.
    """

    camera: Camera
    part: PartView
    distractors: list[Distractor]


class SceneSampler(Closeable):
    """Generates the samples of a scene. Close it, or use it in a `with` block.

    Args:
        scene: The scene. The sampler closes it.
        size: `(width, height)` of the images [px].
        randomization: Kinds of randomization.
        versions: Versions of the packages that decide the physics, for provenance.
    """

    def __init__(
        self,
        scene: Scene,
        size: tuple[int, int],
        randomization: DomainRandomization,
        versions: Mapping[str, str],
    ) -> None:
        self.scene = scene
        self._size = size
        self._randomization = randomization
        self._versions = versions
        self._instructions = instructions(scene.world, scene.task)
        for site in range(scene.model.nsite):
            if not (self._instructions.marker and site in scene.goal_sites):
                scene.model.site_rgba[site, 3] = 0.0
        self._appearance = Appearance(scene)
        self._renderer = Renderer(scene.model, size)

    def close(self) -> None:
        """Close the scene and free the OpenGL context."""
        self._renderer.close()
        self.scene.close()

    def samples(self, split: Split, seed: int, views: int) -> tuple[list[Sample], Counter[str]]:
        """All samples of one initial state, two for each image.

        The result depends on the arguments only, not on earlier calls.

        Args:
            split: The split. It decides on phrasings and textures.
            seed: Seed of the initial state.
            views: Number of images.

        Returns:
            The samples, affordance before trajectory, and the number of dropped images by cause.
        """
        demonstration = demonstrate(self.scene, seed)
        if not demonstration.success:
            return [], Counter({EXPERT_FAILED: views})
        part = find_touched_part(self.scene.model, demonstration)
        if part is None:
            return [], Counter({NOTHING_TOUCHED: views})
        path = waypoints(demonstration, part)
        samples: list[Sample] = []
        dropped: Counter[str] = Counter()
        name = zlib.crc32(f"{self.scene.world}/{self.scene.task}".encode())
        for number in range(views):
            rng = np.random.default_rng([seed, number, name])
            instruction = self._choose_instruction(rng, split)
            look = self._appearance.apply(
                rng, self._randomization, split.is_training, self._renderer
            )
            view = self._find_view(rng, demonstration, part, path)
            if isinstance(view, str):
                dropped[view] += 1
                continue
            image = self._render(demonstration.initial, view)
            record = self._provenance(number, look, demonstration, part, path, view)
            samples += self._samples_of_view(split, instruction, image, record, view)
        return samples, dropped

    def _choose_instruction(self, rng: np.random.Generator, split: Split) -> str:
        is_held_out, choice = rng.uniform() < HELD_OUT_SHARE, rng.uniform()
        known = self._instructions
        phrasings = known.held_out if is_held_out and not split.is_training else known.seen
        return phrasings[int(choice * len(phrasings))]

    def _find_view(
        self,
        rng: np.random.Generator,
        demonstration: Demonstration,
        part: TouchedPart,
        path: Waypoints,
    ) -> View | str:
        """The first usable view, or the cause of the last failure."""
        initial = demonstration.initial
        traced = demonstration.path + path.offset
        distractors = (
            place_distractors(rng, self.scene, initial, np.vstack([demonstration.path, traced]))
            if self._randomization.distractors
            else []
        )
        subject = np.vstack([traced, part.points - PATCH_RADIUS, part.points + PATCH_RADIUS])
        if self._instructions.marker:
            subject = np.vstack([subject, initial.site_xpos[sorted(self.scene.goal_sites)]])
        azimuths = self.scene.viewpoint.azimuths
        cause = OUT_OF_FRAME
        for choice in _AZIMUTH_CHOICES:
            azimuth = azimuths[choice % len(azimuths)]
            framing = sample_framing(rng, self.scene.viewpoint, azimuth, self._randomization)
            camera = fit_camera(subject, framing, self._size)
            if camera is None:
                continue
            part_view = self._view_part(initial, camera, part, distractors)
            if part_view is None or part_view.visible < MIN_VISIBLE:
                cause = HIDDEN
            elif _is_small(part_view.box, self._size):
                cause = TOO_SMALL
            else:
                return View(camera, part_view, distractors)
        return cause

    def _view_part(
        self,
        initial: mujoco.MjData,
        camera: Camera,
        part: TouchedPart,
        distractors: list[Distractor],
    ) -> PartView | None:
        segmentation = self._renderer.segmentation(
            initial, camera, lambda visual: add_distractors(distractors, visual)
        )
        return view_part(self._renderer, self.scene.model, initial, camera, part, segmentation)

    def _render(self, initial: mujoco.MjData, view: View) -> bytes:
        def change(visual: mujoco.MjvScene) -> None:
            self._appearance.rotate_lights(visual)
            add_distractors(view.distractors, visual)

        return _jpeg(self._renderer.image(initial, view.camera, change))

    def _provenance(
        self,
        number: int,
        look: dict[str, Any],
        demonstration: Demonstration,
        part: TouchedPart,
        path: Waypoints,
        view: View,
    ) -> Provenance:
        scene = self.scene
        pixels, depth = view.camera.project(path.points)
        return Provenance(
            world=scene.world,
            task=scene.task,
            seed=demonstration.seed,
            view=number,
            camera=view.camera,
            part=self._instructions.part_name,
            goal_marker=self._instructions.marker,
            touched_body=scene.model.body(part.body).name or f"#{part.body}",
            touched_geoms=part.geoms,
            visible_fraction=round(view.part.visible, 4),
            trace=np.round(pixels, 3),
            waypoint_depths=np.round(depth, 5),
            gripper=np.round(path.gripper, 4),
            contact_waypoint=int(np.argmin(np.abs(path.steps - part.first_step))),
            traced_offset=np.round(path.offset, 5),
            expert_steps=demonstration.steps,
            look=look | {"distractors": [distractor.shape for distractor in view.distractors]},
            versions=self._versions,
        )

    def _samples_of_view(
        self, split: Split, instruction: str, image: bytes, record: Provenance, view: View
    ) -> list[Sample]:
        provenance = record.to_json()
        targets: dict[Task, Target] = {
            Task.AFFORDANCE: BoxTarget(view.part.box),
            Task.TRAJECTORY: TraceTarget(record.trace),
        }
        return [
            Sample(
                id=f"{record.world}/{record.task}/{record.seed}/{record.view}/{task}",
                task=task,
                instruction=instruction,
                image_size=self._size,
                target=target,
                image=image,
                split=split.name,
                category=record.task,
                scene=f"{record.world}/{record.task}/{record.seed}",
                part=record.part,
                provenance=provenance,
            )
            for task, target in targets.items()
        ]


def _is_small(box: FloatArray, size: tuple[int, int]) -> bool:
    sides = (box[2:] - box[:2]) / np.array(size)
    return bool(sides.min() < MIN_SIDE or sides.mean() < MIN_MEAN_SIDE)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
