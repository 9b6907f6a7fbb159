"""What the embedded model learns from: images with both targets and every wording of their task."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from maniplvm.embedded.pretraining.text_augmentation import reworded
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import BoxTarget, Sample, Task

Rng = np.random.Generator

SMALLEST_CROP = 0.72
"""Least share of a side that a crop keeps; box and trace always stay inside."""
_MARGIN = 0.02
_SHIFT = 0.07


@dataclass(frozen=True, eq=False)
class Lesson:
    """One image with both answers.

    Attributes:
        image: Encoded.
        box: `(4,)` corners as shares of the sides, 0..1.
        trace: `(N, 2)` points as shares of the sides.
        category: The simulator's task.
        box_sample: The affordance sample.
        trace_sample: The trajectory sample.
    """

    image: bytes
    box: FloatArray
    trace: FloatArray
    category: str
    box_sample: Sample
    trace_sample: Sample


@dataclass(frozen=True, eq=False)
class View:
    """A lesson as it is shown once.

    Attributes:
        pixels: `(side, side, 3)` uint8.
        box: `(4,)`, 0..1 of the crop.
        trace: `(N, 2)`, 0..1 of the crop.
        instruction: The wording of this time.
        lesson: What is asked and answered.
        shown: Whose image it is, with its own box and trace: another lesson's where what is asked
            for is absent.
    """

    pixels: NDArray[np.uint8]
    box: FloatArray
    trace: FloatArray
    instruction: str
    lesson: Lesson
    shown: Shown


@dataclass(frozen=True, eq=False)
class Shown:
    """What can be seen in an image, whatever is asked.

    Attributes:
        part: The name of what is touched.
        box: `(4,)`, 0..1 of the crop.
        trace: `(N, 2)`, 0..1 of the crop.
    """

    part: str
    box: FloatArray
    trace: FloatArray


class Lessons(Sequence[Lesson]):
    """Lessons in the order of the data, with the wordings of every task.

    Args:
        samples: Affordance and trajectory samples; two that share image and wording make a
            lesson.

    Raises:
        UserError: no image has both targets.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        waiting: dict[str, Sample] = {}
        wordings: defaultdict[str, set[str]] = defaultdict(set)
        self._lessons: list[Lesson] = []
        for sample in samples:
            wordings[sample.category or ""].add(sample.instruction)
            image = sample.id.removesuffix(f"/{sample.task}")
            other = waiting.pop(image, None)
            if other is None:
                waiting[image] = sample
            elif other.task is not sample.task:
                self._lessons.append(_lesson(other, sample))
        if not self._lessons:
            raise UserError("no image has both a box and a trace; lessons need both")
        self.wordings = {category: sorted(said) for category, said in sorted(wordings.items())}

    def __len__(self) -> int:
        return len(self._lessons)

    def __getitem__(self, index: int) -> Lesson:  # type: ignore[override]
        return self._lessons[index]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of all parts that are touched, sorted."""
        return tuple(sorted({part_of(lesson) for lesson in self._lessons}))

    def show(self, index: int, side: int, rng: Rng, absent: float = 0.0) -> View:
        """A lesson cropped, tinted and worded by chance.

        Args:
            index: Which.
            side: Of the image [px].
            rng: All chance comes from it.
            absent: How often the image is another task's. What was asked for is not in it, so
                the answer can only be where such a thing usually is; who answers with whatever
                can be touched there learns better.
        """
        lesson = self._lessons[index]
        pixels, shown = _seen(lesson, side, rng)
        answer = shown
        if rng.random() < absent:
            other = self._lessons[int(rng.integers(len(self._lessons)))]
            if part_of(other) != part_of(lesson):
                pixels, shown = _seen(other, side, rng)
        said = self.wordings[lesson.category]
        said_now = said[int(rng.integers(len(said)))]
        wording = reworded(said_now, rng, is_clear=shown is not answer)
        return View(pixels, answer.box, answer.trace, wording, lesson, shown)


def part_of(lesson: Lesson) -> str:
    """What is touched."""
    return lesson.box_sample.part


def _lesson(first: Sample, second: Sample) -> Lesson:
    box, trace = sorted((first, second), key=lambda sample: sample.task is Task.TRAJECTORY)
    size = np.array(box.image_size, dtype=np.float64)
    if box.image is None:
        raise UserError(f"sample {box.id}: lessons need images")
    assert isinstance(box.target, BoxTarget)  # noqa: S101 - a sample's task decides its target
    return Lesson(
        box.image,
        (box.target.points / size).reshape(4),
        trace.target.points / size,
        box.category or "",
        box,
        trace,
    )


def _seen(lesson: Lesson, side: int, rng: Rng) -> tuple[NDArray[np.uint8], Shown]:
    """A lesson's image, cropped and tinted by chance, and what is where in it."""
    with Image.open(io.BytesIO(lesson.image)) as image:
        image = image.convert("RGB")
    corner, share = _crop(np.vstack([lesson.box.reshape(2, 2), lesson.trace]), rng)
    size = np.array(image.size)
    area = (*(corner * size), *((corner + share) * size))
    crop = image.resize((side, side), Image.Resampling.BILINEAR, box=area)
    box = ((lesson.box.reshape(2, 2) - corner) / share).reshape(4)
    return _tinted(crop, rng), Shown(part_of(lesson), box, (lesson.trace - corner) / share)


def _crop(keep: FloatArray, rng: Rng) -> tuple[FloatArray, FloatArray]:
    """Upper left corner and sides of a crop that holds all points, as shares of the image."""
    low = np.clip(keep.min(axis=0) - _MARGIN, 0, 1)
    high = np.clip(keep.max(axis=0) + _MARGIN, 0, 1)
    wish = rng.uniform(SMALLEST_CROP, 1.0) * (1 + rng.uniform(-_SHIFT, _SHIFT) * np.array([1, -1]))
    share = np.clip(wish, high - low, 1.0)
    corner = rng.uniform(np.maximum(0, high - share), np.minimum(low, 1 - share) + 1e-12)
    return np.clip(corner, 0, 1 - share), share


def _tinted(image: Image.Image, rng: Rng) -> NDArray[np.uint8]:
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.5, 1.4))
    gain = rng.uniform(0.85, 1.15, 3) * rng.uniform(0.75, 1.2)
    contrast = rng.uniform(0.8, 1.2)
    pixels = (np.asarray(image, dtype=np.float32) - 128.0) * contrast + 128.0
    return np.clip(pixels * gain.astype(np.float32), 0, 255).astype(np.uint8)
