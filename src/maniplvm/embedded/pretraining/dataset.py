"""Pretraining data set: images with a box, a trace, and all instructions of their task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from maniplvm.data.images import decode
from maniplvm.embedded.pretraining.text_augmentation import augment_text
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import BoxTarget, Sample, Task

Rng = np.random.Generator

SMALLEST_CROP = 0.72
"""Smallest fraction of a side in a crop; box and trace are always inside."""
_MARGIN = 0.02
_SHIFT = 0.07


@dataclass(frozen=True, eq=False)
class Example:
    """One image with its box and its trace.

    Attributes:
        image: Encoded image.
        box: `(4,)` corners as fractions of the sides, 0..1.
        trace: `(N, 2)` points as fractions of the sides, 0..1.
        category: Task of the simulator.
        box_sample: Affordance sample of the image.
        trace_sample: Trajectory sample of the image.
    """

    image: bytes
    box: FloatArray
    trace: FloatArray
    category: str
    box_sample: Sample
    trace_sample: Sample


@dataclass(frozen=True, eq=False)
class AugmentedExample:
    """An example after random augmentation.

    Attributes:
        pixels: `(side, side, 3)` uint8 image.
        box: `(4,)` box of the example, 0..1 of the crop.
        trace: `(N, 2)` trace of the example, 0..1 of the crop.
        instruction: Augmented instruction.
        example: Example of the instruction, the box and the trace.
        visible: Targets of the image, which is another example's if the object of the instruction
            is absent.
    """

    pixels: NDArray[np.uint8]
    box: FloatArray
    trace: FloatArray
    instruction: str
    example: Example
    visible: VisibleTargets


@dataclass(frozen=True, eq=False)
class VisibleTargets:
    """Targets of the part that an image shows, whatever the instruction is.

    Attributes:
        part: Name of the touched part.
        box: `(4,)` box, 0..1 of the crop.
        trace: `(N, 2)` trace, 0..1 of the crop.
    """

    part: str
    box: FloatArray
    trace: FloatArray


class PretrainingDataset(Sequence[Example]):
    """Examples in the order of the data, with the instructions of every task.

    Args:
        samples: Affordance and trajectory samples; two with the same image and instruction make
            one example.

    Raises:
        UserError: no image has both targets.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        unpaired: dict[str, Sample] = {}
        instructions: defaultdict[str, set[str]] = defaultdict(set)
        self._examples: list[Example] = []
        for sample in samples:
            instructions[sample.category or ""].add(sample.instruction)
            image = sample.id.removesuffix(f"/{sample.task}")
            other = unpaired.pop(image, None)
            if other is None:
                unpaired[image] = sample
            elif other.task is not sample.task:
                self._examples.append(_example(other, sample))
        if not self._examples:
            raise UserError("no image has both a box and a trace; pretraining needs both")
        self.instructions = {
            category: sorted(own) for category, own in sorted(instructions.items())
        }

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:  # type: ignore[override]
        return self._examples[index]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of all touched parts, sorted."""
        return tuple(sorted({part_name(example) for example in self._examples}))

    def augment(self, index: int, side: int, rng: Rng, absent: float = 0.0) -> AugmentedExample:
        """Crop an example, change its colours and augment its instruction at random.

        Args:
            index: Number of the example.
            side: Side of the image [px].
            rng: Source of all randomness.
            absent: Probability that the image is another task's, so that it does not show the
                object of the instruction. The target is then the place where such an object
                usually is.
        """
        example = self._examples[index]
        pixels, visible = _augmented_image(example, side, rng)
        own = visible
        if rng.random() < absent:
            other = self._examples[int(rng.integers(len(self._examples)))]
            if part_name(other) != part_name(example):
                pixels, visible = _augmented_image(other, side, rng)
        choices = self.instructions[example.category]
        chosen = choices[int(rng.integers(len(choices)))]
        instruction = augment_text(chosen, rng, is_clear=visible is not own)
        return AugmentedExample(pixels, own.box, own.trace, instruction, example, visible)


def part_name(example: Example) -> str:
    """Name of the part that is touched."""
    return example.box_sample.part


def _example(first: Sample, second: Sample) -> Example:
    box, trace = sorted((first, second), key=lambda sample: sample.task is Task.TRAJECTORY)
    size = np.array(box.image_size, dtype=np.float64)
    if box.image is None:
        raise UserError(f"sample {box.id}: pretraining needs images")
    assert isinstance(box.target, BoxTarget)  # noqa: S101 - a sample's task decides its target
    return Example(
        box.image,
        (box.target.points / size).reshape(4),
        trace.target.points / size,
        box.category or "",
        box,
        trace,
    )


def _augmented_image(
    example: Example, side: int, rng: Rng
) -> tuple[NDArray[np.uint8], VisibleTargets]:
    """The image of an example, randomly cropped and recoloured, with its targets."""
    image = decode(example.image)
    corner, fraction = _crop(np.vstack([example.box.reshape(2, 2), example.trace]), rng)
    size = np.array(image.size)
    area = (*(corner * size), *((corner + fraction) * size))
    crop = image.resize((side, side), Image.Resampling.BILINEAR, box=area)
    box = ((example.box.reshape(2, 2) - corner) / fraction).reshape(4)
    return _recoloured(crop, rng), VisibleTargets(
        part_name(example), box, (example.trace - corner) / fraction
    )


def _crop(keep: FloatArray, rng: Rng) -> tuple[FloatArray, FloatArray]:
    """Upper left corner and sides of a crop that holds all points, as fractions of the image."""
    low = np.clip(keep.min(axis=0) - _MARGIN, 0, 1)
    high = np.clip(keep.max(axis=0) + _MARGIN, 0, 1)
    drawn = rng.uniform(SMALLEST_CROP, 1.0) * (1 + rng.uniform(-_SHIFT, _SHIFT) * np.array([1, -1]))
    fraction = np.clip(drawn, high - low, 1.0)
    corner = rng.uniform(np.maximum(0, high - fraction), np.minimum(low, 1 - fraction) + 1e-12)
    return np.clip(corner, 0, 1 - fraction), fraction


def _recoloured(image: Image.Image, rng: Rng) -> NDArray[np.uint8]:
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.5, 1.4))
    gain = rng.uniform(0.85, 1.15, 3) * rng.uniform(0.75, 1.2)
    contrast = rng.uniform(0.8, 1.2)
    pixels = (np.asarray(image, dtype=np.float32) - 128.0) * contrast + 128.0
    return np.clip(pixels * gain.astype(np.float32), 0, 255).astype(np.uint8)
