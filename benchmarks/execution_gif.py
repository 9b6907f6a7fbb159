"""Draw executions side by side: the reference above, a trace with noise below.

Run: python benchmarks/execution_gif.py --out docs/images/execution.gif
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image, ImageDraw

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.execution import Execution, SceneCache, follow_trace
from maniplvm.simulation.generation.plan import SPLITS
from maniplvm.simulation.generation.sampler import SceneSampler
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds import load_world

SHOWN = 24
"""Number of images of each execution, at equal steps."""
_CAPTION = 15
_HELD = 8
_LINE, _SOLVED, _FAILED = (255, 0, 200), (30, 140, 60), (190, 40, 40)


@dataclass(frozen=True, eq=False)
class Recording:
    """The images of one execution.

    Attributes:
        images: RGB images in order of time.
        caption: Caption of the images.
        execution: Result of the execution.
    """

    images: Sequence[Image.Image]
    caption: str
    execution: Execution


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/execution.gif"))
    parser.add_argument(
        "--tasks", default="drawer-open-v3,pick-place-v3,button-press-topdown-v3,door-open-v3"
    )
    parser.add_argument("--side", type=int, default=168, help="side of one image [px]")
    parser.add_argument("--noise", type=float, default=12.0, help="noise [px of 192]")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    columns = [
        _column(task, arguments.side, arguments.noise, arguments.seed, rng)
        for task in arguments.tasks.split(",")
    ]
    frames = [_sheet(columns, index, arguments.side) for index in range(SHOWN + _HELD)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    shared = frames[-1].quantize(96)
    indexed = [frame.quantize(palette=shared, dither=Image.Dither.NONE) for frame in frames]
    indexed[0].save(
        arguments.out, save_all=True, append_images=indexed[1:], duration=120, loop=0, optimize=True
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


def _column(
    task: str, side: int, noise: float, seed: int, rng: np.random.Generator
) -> list[Recording]:
    reference = _reference(task, seed)
    perturbed = reference.trace + rng.normal(0.0, noise, reference.trace.shape)
    name = task.removesuffix("-v3").replace("-", " ")
    with SceneCache(1) as scenes:
        scene = scenes.get(reference.world, reference.task)
        scene.model.site_rgba[:, 3] = 0.0
        with Renderer(scene.model, (side, side)) as renderer:
            return [
                _record(reference, trace, scenes, renderer, side, f"{name}: {kind}")
                for trace, kind in (
                    (reference.trace, "reference"),
                    (perturbed, f"{noise:g} px noise"),
                )
            ]


def _reference(task: str, seed: int) -> Provenance:
    """The provenance of the first usable scene from a seed on."""
    world = load_world("metaworld")
    with SceneSampler(
        world.open(task), (192, 192), DomainRandomization.without(["all"]), world.versions()
    ) as sampler:
        for offset in range(20):
            samples, _ = sampler.samples(SPLITS["id_test"], 99_000_000 + seed + offset, 1)
            if samples:
                return Provenance.from_json(samples[1].provenance)
    raise SystemExit(f"{task}: no usable view in 20 scenes")


def _record(
    reference: Provenance,
    trace: FloatArray,
    scenes: SceneCache,
    renderer: Renderer,
    side: int,
    caption: str,
) -> Recording:
    states: list[mujoco.MjData] = []
    execution = follow_trace(
        reference, trace, scenes, on_step=lambda scene: states.append(scene.snapshot())
    )
    scale = side / reference.camera.size[0]
    camera = replace(reference.camera, size=(side, side))
    chosen = np.linspace(0, len(states) - 1, SHOWN).round().astype(int)
    images = [_image(states[index], camera, renderer, trace * scale) for index in chosen]
    return Recording(images, caption, execution)


def _image(
    state: mujoco.MjData, camera: Camera, renderer: Renderer, path: FloatArray
) -> Image.Image:
    image = Image.fromarray(renderer.image(state, camera))
    draw = ImageDraw.Draw(image)
    points = [(float(x), float(y)) for x, y in path]
    draw.line(points, fill=_LINE, width=2)
    for x, y in points:
        draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=_LINE)
    return image


def _sheet(columns: Sequence[Sequence[Recording]], index: int, side: int) -> Image.Image:
    height = side + _CAPTION
    sheet = Image.new("RGB", (len(columns) * side, len(columns[0]) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, row, recording in _cells(columns):
        left, top = column * side, row * height
        sheet.paste(recording.images[min(index, SHOWN - 1)], (left, top + _CAPTION))
        draw.text((left + 3, top + 2), recording.caption, fill="black")
        if index >= SHOWN - 1:
            colour = _SOLVED if recording.execution.success else _FAILED
            reason = str(recording.execution.reason).replace("_", " ")
            draw.rectangle([left, top + height - 14, left + side, top + height], fill=colour)
            draw.text((left + 3, top + height - 13), reason, fill="white")
    return sheet


def _cells(columns: Sequence[Sequence[Recording]]) -> Iterator[tuple[int, int, Recording]]:
    for column, recordings in enumerate(columns):
        for row, recording in enumerate(recordings):
            yield column, row, recording


if __name__ == "__main__":
    main()
