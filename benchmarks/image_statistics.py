"""Fit the image statistics of the embedded model, and measure how well they tell images apart.

Run: python benchmarks/image_statistics.py --out results/image_statistics.json
     [--photographs FOLDER] [--fit]

`--fit` first writes `image_statistics.json` of the shipped checkpoint from the training images.
False alarms are measured on simulated images that were not used for the fit, detection on
generated images whose spectrum falls with the frequency as in photographs (Field, 1987), and on
the photographs of a folder. Only the figures of the photographs are stored.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maniplvm.data import open_dataset
from maniplvm.data.image_statistics import TYPICAL_SHARE, ImageStatistics
from maniplvm.data.images import decode, read_image
from maniplvm.models.shipped import image_statistics_path
from maniplvm.process import package_versions

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "datasets" / "sim-small"
TRAINING = "train"
GENERATED = 100
SIDE = 256


def images_of(split: str) -> Iterator[Image.Image]:
    """The different images of a split."""
    seen = set[bytes]()
    for sample in open_dataset(DATA).samples(split):
        if sample.image is not None and sample.image not in seen:
            seen.add(sample.image)
            yield decode(sample.image)


def generated(rng: np.random.Generator) -> Image.Image:
    """An image with correlated channels and a 1/f amplitude spectrum."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequency[0, 0] = 1
    layers = []
    for _ in range(4):
        noise = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
        layer = np.fft.irfft2(noise / frequency, s=(SIDE, SIDE))
        layers.append(layer / layer.std())
    pixels = np.stack([layers[0] + 0.35 * own for own in layers[1:]], axis=-1)
    pixels = rng.uniform(0.3, 0.6) + rng.uniform(0.12, 0.25) * pixels
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def figures(statistics: ImageStatistics, images: Iterable[Image.Image]) -> dict[str, Any]:
    """How many images differ, and their distances."""
    distances = np.array([statistics.distance(image) for image in images])
    return {
        "images": len(distances),
        "share_that_differs": round(float((distances > statistics.limit).mean()), 4),
        "median_distance": round(float(np.median(distances)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.fit:
        ImageStatistics.fit(images_of(TRAINING)).write(image_statistics_path())
    statistics = ImageStatistics.read(image_statistics_path())
    rng = np.random.default_rng(options.seed)
    held_out = [split for split in open_dataset(DATA).splits if split != TRAINING]
    result = {
        "command": " ".join(["python", "benchmarks/image_statistics.py", *shown_arguments()]),
        "seed": options.seed,
        "versions": package_versions(("numpy", "pillow")),
        "typical_share": TYPICAL_SHARE,
        "limit": round(statistics.limit, 3),
        "simulated": {split: figures(statistics, images_of(split)) for split in held_out},
        "generated": figures(statistics, (generated(rng) for _ in range(GENERATED))),
    }
    if options.photographs is not None:
        paths = sorted(
            path for path in options.photographs.rglob("*") if path.suffix in (".jpg", ".png")
        )
        photographs = (decode(read_image(path).data) for path in paths)
        result["photographs"] = figures(statistics, photographs)
    options.out.write_text(json.dumps(result, indent=2) + "\n")


def shown_arguments() -> list[str]:
    """The arguments without the path of the photographs."""
    arguments = sys.argv[1:]
    return [
        "FOLDER" if index and arguments[index - 1] == "--photographs" else argument
        for index, argument in enumerate(arguments)
    ]


if __name__ == "__main__":
    main()
