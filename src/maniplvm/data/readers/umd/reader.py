"""UMD Part Affordance (Myers et al. 2015): tools on a turntable, an affordance for every pixel.

The set ships no boxes. A sample is one affordance of one labelled frame; its target is the tight
box of the pixels with that label, or the pixels themselves. The instructions are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.images import EncodedImage
from maniplvm.data.readers.umd.files import AFFORDANCES, SPLIT_FILES, Frame, frames_of
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import box_target, region_target
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample, Target, Task

NAME = "umd"
OPTIONS = ("split_file", "sample", "seed", "every", "task")

SAMPLED = ("grasp", "cut", "pound", "scoop")
"""The affordances of the out-of-domain test that the papers report (1,200 images)."""

INSTRUCTIONS = {
    "grasp": "grasp the {tool}",
    "cut": "cut something with the {tool}",
    "scoop": "scoop something up with the {tool}",
    "contain": "put something into the {tool}",
    "pound": "pound something with the {tool}",
    "support": "lay something on the {tool}",
    "wrap-grasp": "wrap the hand around the {tool}",
}
"""What the robot is told, by affordance; our wording, for the set has none."""


@dataclass(frozen=True)
class _Options:
    split_file: str
    sample: int | None
    seed: int
    every: int
    task: Task


def read(
    source: Path,
    images: Path | None,
    *,
    split_file: str = "category",
    sample: int | None = None,
    seed: int = 0,
    every: int = 1,
    task: str = "affordance",
) -> Iterator[Sample | BadRecord]:
    """Read the data set's folder; frames without a label are left out.

    Args:
        source: The folder with `tools/` and the split files.
        images: The folder with the tools' folders, where the images lie elsewhere.
        split_file: Which official split: `category` or `novel`.
        sample: Draw so many images, shared equally among `SAMPLED`, instead of reading all.
        seed: Chooses what is drawn.
        every: Of each tool take only every so-and-so-many-th frame, from its first labelled one on.
        task: `affordance` (boxes) or `pointing` (the labelled pixels).

    Raises:
        UserError: an option that does not fit (at the call), a folder or a split file that cannot
            be read, or fewer frames than are to be drawn.
    """
    if split_file not in SPLIT_FILES:
        raise UserError(
            f"format {NAME}: unknown --split-file {split_file!r}; "
            f"choose from {', '.join(SPLIT_FILES)}"
        )
    if task not in (Task.AFFORDANCE, Task.POINTING):
        raise UserError(
            f"format {NAME}: no --task {task!r}; choose from {Task.AFFORDANCE}, {Task.POINTING}"
        )
    if every < 1 or seed < 0 or (sample is not None and sample < 1):
        raise UserError(f"format {NAME}: --every and --sample need at least 1, --seed at least 0")
    return _samples(source, images, _Options(split_file, sample, seed, every, Task(task)))


def _samples(source: Path, images: Path | None, options: _Options) -> Iterator[Sample | BadRecord]:
    frames = frames_of(source, images, options.split_file, options.every)
    if options.sample is not None:
        yield from _drawn(frames, options, options.sample)
        return
    for frame in frames:
        if isinstance(frame, BadRecord):
            yield frame
            continue
        try:
            labels = frame.label()
            present = _present(labels)
            if present:
                image = frame.image()
                yield from (_sample(frame, name, labels, image, options) for name in present)
        except RecordError as error:
            yield frame.refused(error)


def _drawn(
    frames: Iterator[Frame | BadRecord], options: _Options, count: int
) -> Iterator[Sample | BadRecord]:
    """Draw without replacement, one sample an image.

    The frames are put into an order that the seed decides. Each in turn goes to the one of its
    affordances that still lacks most samples, until every affordance has its share.
    """
    known: list[Frame] = []
    for frame in frames:
        if isinstance(frame, BadRecord):
            yield frame
        else:
            known.append(frame)
    lacking = _shares(count)
    order: list[int] = np.random.default_rng(options.seed).permutation(len(known)).tolist()
    for frame in (known[index] for index in order):
        try:
            labels = frame.label()
            wanted = [name for name in _present(labels) if lacking.get(name, 0)]
            if wanted:
                name = max(wanted, key=lambda name: lacking[name])
                yield _sample(frame, name, labels, frame.image(), options)
                lacking[name] -= 1
        except RecordError as error:
            yield frame.refused(error)
        if not any(lacking.values()):
            return
    rest = ", ".join(f"{number} of {name}" for name, number in lacking.items() if number)
    raise UserError(
        f"format {NAME}: {len(known):,} labelled frames are too few to draw {count:,} "
        f"(still lacking: {rest}); give a smaller --sample"
    )


def _shares(count: int) -> dict[str, int]:
    """How many samples each affordance gets; the first ones get what does not divide."""
    share, rest = divmod(count, len(SAMPLED))
    return {name: share + (index < rest) for index, name in enumerate(SAMPLED)}


def _present(labels: NDArray[np.uint8]) -> Sequence[str]:
    values: list[int] = np.unique(labels).tolist()
    return [AFFORDANCES[value - 1] for value in values if value]


def _sample(
    frame: Frame,
    affordance: str,
    labels: NDArray[np.uint8],
    picture: EncodedImage,
    options: _Options,
) -> Sample:
    if labels.shape != picture.size[::-1]:
        raise RecordError(
            Cause.SIZE_MISMATCH,
            f"{frame.image_name} is {picture.size[0]}x{picture.size[1]} px, but its label is "
            f"{labels.shape[1]}x{labels.shape[0]}",
        )
    return Sample(
        id=f"{NAME}-{options.task}-{frame.tool}-{frame.number}-{affordance}",
        task=options.task,
        instruction=INSTRUCTIONS[affordance].format(tool=frame.category),
        image_size=picture.size,
        target=_target(labels == AFFORDANCES.index(affordance) + 1, picture.size, options.task),
        image=picture.data,
        split=frame.split,
        category=affordance,
        provenance={
            "format": NAME,
            "file": frame.label_name,
            "place": frame.place,
            "image": frame.image_name,
            "tool": frame.tool,
            "tool_category": frame.category,
            "official_split": f"{options.split_file}: {frame.split}",
        },
    )


def _target(mask: NDArray[np.bool_], size: tuple[int, int], task: Task) -> Target:
    """The mask itself, or the tight box around it, in pixel edges."""
    if task is Task.POINTING:
        return region_target(size, mask=mask)
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return box_target([int(corner) for corner in corners], size, "the labelled part")
