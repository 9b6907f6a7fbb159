"""Draw the images of docs/simulation.md: every task once, and every kind of variety.

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
from maniplvm.simulation.generation.sampler import Studio
from maniplvm.simulation.generation.splits import SPLITS
from maniplvm.simulation.labels.instructions import described_tasks
from maniplvm.simulation.randomization.appearance import Variety
from maniplvm.simulation.worlds import world
from maniplvm.tasks.sample import Sample

BOX = Style("box", "#FFD400")
TRACE = Style("trace", "#E23BE2")
SIZE = 192
CAPTION = 16
FIRST_SEED = 60_000_000
VARIETY_TASK = "push-v3"


def tasks_sheet(names: Sequence[tuple[str, str]]) -> Image.Image:
    """One usable view of every task with its box and trace."""
    cells = []
    for name, task in names:
        samples = photograph(name, task, Variety(), FIRST_SEED, 1)
        cells.append((drawn(samples[:2]), task))
    return sheet(cells, columns=8)


def variety_sheet() -> Image.Image:
    """A row for each kind of variety, switched on alone; the last row has them all."""
    plain = Variety.without(["all"])
    kinds = [field.name for field in fields(Variety)]
    rows = {"plain": plain}
    rows |= {kind: replace(plain, **{kind: True}) for kind in kinds}
    rows |= {"everything": Variety()}
    cells = []
    for label, variety in rows.items():
        samples = photograph("metaworld", VARIETY_TASK, variety, FIRST_SEED, 6)
        images = [opened(sample) for sample in samples[::2]][:6]
        cells += [(image, label.replace("_", " ")) for image in images]
    return sheet(cells, columns=6)


def photograph(name: str, task: str, variety: Variety, seed: int, views: int) -> list[Sample]:
    """The samples of the first scene from a seed on that yields all its views."""
    origin = world(name)
    with Studio(origin.open(task), (SIZE, SIZE), variety, origin.versions()) as studio:
        while True:
            samples, dropped = studio.samples(SPLITS["train"], seed, views)
            if not dropped:
                return samples
            seed += 1


def drawn(samples: Sequence[Sample]) -> Image.Image:
    answers = [(sample.target, style) for sample, style in zip(samples, (BOX, TRACE), strict=True)]
    return draw_answers(opened(samples[0]), answers, legend=False, zoom=False)


def opened(sample: Sample) -> Image.Image:
    if sample.image is None:
        raise ValueError(f"{sample.id} has no image")
    return Image.open(io.BytesIO(sample.image)).convert("RGB")


def sheet(cells: Sequence[tuple[Image.Image, str]], columns: int) -> Image.Image:
    rows = -(-len(cells) // columns)
    whole = Image.new("RGB", (columns * SIZE, rows * (SIZE + CAPTION)), "white")
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(12)
    for number, (image, caption) in enumerate(cells):
        left, top = number % columns * SIZE, number // columns * (SIZE + CAPTION)
        whole.paste(image, (left, top + CAPTION))
        pen.text((left + 3, top), caption.removesuffix("-v3"), fill="black", font=font)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [(name, t) for name in ("metaworld", "robosuite") for t in described_tasks(name)]
    tasks_sheet(names).save(options.out / "simulation-tasks.jpg", quality=80)
    variety_sheet().save(options.out / "simulation-variety.jpg", quality=80)


if __name__ == "__main__":
    main()
