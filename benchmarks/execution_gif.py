"""Draw executions side by side: the reference above, a perturbed trace below.

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
from maniplvm.simulation.execution import Execution, Scenes, follow_trace
from maniplvm.simulation.generation.sampler import Studio
from maniplvm.simulation.generation.splits import SPLITS
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.appearance import Variety
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds import world

SHOWN = 24
"""Images shown of each execution, at equal steps."""
_CAPTION = 15
_HELD = 8
_LINE, _SOLVED, _FAILED = (255, 0, 200), (30, 140, 60), (190, 40, 40)


@dataclass(frozen=True, eq=False)
class Film:
    """One execution, drawn.

    Attributes:
        images: RGB, in the order of time.
        caption: What is shown.
        execution: How it ended.
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
    parser.add_argument("--side", type=int, default=168, help="of one image [px]")
    parser.add_argument("--noise", type=float, default=12.0, help="[px of 192]")
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


def _column(task: str, side: int, noise: float, seed: int, rng: np.random.Generator) -> list[Film]:
    reference = _reference(task, seed)
    perturbed = reference.trace + rng.normal(0.0, noise, reference.trace.shape)
    name = task.removesuffix("-v3").replace("-", " ")
    with Scenes(1) as scenes:
        scene = scenes.get(reference.world, reference.task)
        scene.model.site_rgba[:, 3] = 0.0
        with Renderer(scene.model, (side, side)) as renderer:
            return [
                _film(reference, trace, scenes, renderer, side, f"{name}: {kind}")
                for trace, kind in (
                    (reference.trace, "reference"),
                    (perturbed, f"{noise:g} px noise"),
                )
            ]


def _reference(task: str, seed: int) -> Provenance:
    """Of the first usable scene from a seed on."""
    origin = world("metaworld")
    with Studio(
        origin.open(task), (192, 192), Variety.without(["all"]), origin.versions()
    ) as studio:
        for offset in range(20):
            samples, _ = studio.samples(SPLITS["id_test"], 99_000_000 + seed + offset, 1)
            if samples:
                return Provenance.from_json(samples[1].provenance)
    raise SystemExit(f"{task}: no usable view in 20 scenes")


def _film(
    reference: Provenance,
    trace: FloatArray,
    scenes: Scenes,
    renderer: Renderer,
    side: int,
    caption: str,
) -> Film:
    states: list[mujoco.MjData] = []
    execution = follow_trace(
        reference, trace, scenes, each_step=lambda scene: states.append(scene.snapshot())
    )
    scale = side / reference.camera.size[0]
    camera = replace(reference.camera, size=(side, side))
    chosen = np.linspace(0, len(states) - 1, SHOWN).round().astype(int)
    images = [_image(states[index], camera, renderer, trace * scale) for index in chosen]
    return Film(images, caption, execution)


def _image(
    state: mujoco.MjData, camera: Camera, renderer: Renderer, path: FloatArray
) -> Image.Image:
    image = Image.fromarray(renderer.image(state, camera))
    pen = ImageDraw.Draw(image)
    points = [(float(x), float(y)) for x, y in path]
    pen.line(points, fill=_LINE, width=2)
    for x, y in points:
        pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=_LINE)
    return image


def _sheet(columns: Sequence[Sequence[Film]], index: int, side: int) -> Image.Image:
    height = side + _CAPTION
    sheet = Image.new("RGB", (len(columns) * side, len(columns[0]) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for column, row, film in _cells(columns):
        left, top = column * side, row * height
        sheet.paste(film.images[min(index, SHOWN - 1)], (left, top + _CAPTION))
        pen.text((left + 3, top + 2), film.caption, fill="black")
        if index >= SHOWN - 1:
            colour = _SOLVED if film.execution.success else _FAILED
            verdict = str(film.execution.reason).replace("_", " ")
            pen.rectangle([left, top + height - 14, left + side, top + height], fill=colour)
            pen.text((left + 3, top + height - 13), verdict, fill="white")
    return sheet


def _cells(columns: Sequence[Sequence[Film]]) -> Iterator[tuple[int, int, Film]]:
    for column, films in enumerate(columns):
        for row, film in enumerate(films):
            yield column, row, film


if __name__ == "__main__":
    main()
