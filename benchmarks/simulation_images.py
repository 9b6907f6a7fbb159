"""Draw the images of docs/simulation.md: every task, and every kind of randomization.

Run: python benchmarks/simulation_images.py --out docs/images
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from maniplvm.data.drawing.answers import Style, draw_answers
from maniplvm.simulation.generation.plan import SPLITS
from maniplvm.simulation.generation.sampler import SceneSampler
from maniplvm.simulation.labels.instructions import described_tasks
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks.sample import Sample

BOX = Style("box", "#FFD400")
TRACE = Style("trace", "#E23BE2")
SIZE = 192
CAPTION = 16
FIRST_SEED = 60_000_000
RANDOMIZATION_TASK = "push-v3"


def tasks_sheet(names: Sequence[tuple[str, str]]) -> Image.Image:
    """One usable view of every task with its box and trace."""
    cells = []
    for name, task in names:
        samples = render_samples(name, task, DomainRandomization(), FIRST_SEED, 1)
        cells.append((draw_targets(samples[:2]), task))
    return sheet(cells, columns=8)


def randomization_sheet() -> Image.Image:
    """One row for each kind of randomization alone; the last row has all kinds."""
    plain = DomainRandomization.without(["all"])
    kinds = [field.name for field in fields(DomainRandomization)]
    rows = {"plain": plain}
    rows |= {kind: replace(plain, **{kind: True}) for kind in kinds}
    rows |= {"everything": DomainRandomization()}
    cells = []
    for label, randomization in rows.items():
        samples = render_samples("metaworld", RANDOMIZATION_TASK, randomization, FIRST_SEED, 6)
        images = [open_image(sample) for sample in samples[::2]][:6]
        cells += [(image, label.replace("_", " ")) for image in images]
    return sheet(cells, columns=6)


def render_samples(
    name: str, task: str, randomization: DomainRandomization, seed: int, views: int
) -> list[Sample]:
    """The samples of the first scene, from a seed on, without dropped views."""
    world = load_world(name)
    with SceneSampler(world.open(task), (SIZE, SIZE), randomization, world.versions()) as sampler:
        while True:
            samples, dropped = sampler.samples(SPLITS["train"], seed, views)
            if not dropped:
                return samples
            seed += 1


def draw_targets(samples: Sequence[Sample]) -> Image.Image:
    answers = [(sample.target, style) for sample, style in zip(samples, (BOX, TRACE), strict=True)]
    return draw_answers(open_image(samples[0]), answers, legend=False, zoom=False)


def open_image(sample: Sample) -> Image.Image:
    if sample.image is None:
        raise ValueError(f"{sample.id} has no image")
    return Image.open(io.BytesIO(sample.image)).convert("RGB")


def sheet(cells: Sequence[tuple[Image.Image, str]], columns: int) -> Image.Image:
    rows = -(-len(cells) // columns)
    canvas = Image.new("RGB", (columns * SIZE, rows * (SIZE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for number, (image, caption) in enumerate(cells):
        left, top = number % columns * SIZE, number // columns * (SIZE + CAPTION)
        canvas.paste(image, (left, top + CAPTION))
        draw.text((left + 3, top), caption.removesuffix("-v3"), fill="black", font=font)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [(name, t) for name in ("metaworld", "robosuite") for t in described_tasks(name)]
    tasks_sheet(names).save(options.out / "simulation-tasks.jpg", quality=80)
    randomization_sheet().save(options.out / "simulation-randomization.jpg", quality=80)


if __name__ == "__main__":
    main()
