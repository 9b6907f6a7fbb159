"""UMD Part Affordance (Myers et al. 2015): tools on a turntable, an affordance for each pixel.

The data set has no boxes and no instructions. A sample is one affordance of one labelled frame. Its
target is the tight box of the pixels with that label, or their mask. This module writes the
instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.images import EncodedImage
from maniplvm.data.readers.umd.files import AFFORDANCES, SPLIT_FILES, LabelledFrame, list_frames
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import box_target, region_target
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import BoolArray
from maniplvm.tasks.sample import Sample, Target, Task

NAME = "umd"
OPTIONS = ("split_file", "sample", "seed", "every", "task")

SAMPLED = ("grasp", "cut", "pound", "scoop")
"""The affordances of the out-of-domain test in the papers (1,200 images)."""

INSTRUCTIONS = {
    "grasp": "grasp the {tool}",
    "cut": "cut something with the {tool}",
    "scoop": "scoop something up with the {tool}",
    "contain": "put something into the {tool}",
    "pound": "pound something with the {tool}",
    "support": "lay something on the {tool}",
    "wrap-grasp": "wrap the hand around the {tool}",
}
"""The instruction for each affordance."""


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
    """Read the data set's folder. Frames without a label are left out.

    Args:
        source: The folder with `tools/` and the split files.
        images: The folder with the tools' folders of images, if it is not `source`.
        split_file: The official split: `category` or `novel`.
        sample: The number of images to draw, in equal parts from `SAMPLED`; None reads all images.
        seed: The random seed of the draw.
        every: The step between frame numbers of a tool, counted from its first labelled frame.
        task: `affordance` (boxes) or `pointing` (masks).

    Raises:
        UserError: an option is not valid (raised at the call), a folder or a split file cannot be
            read, or there are fewer frames than `sample`.
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
    return _read(source, images, _Options(split_file, sample, seed, every, Task(task)))


def _read(source: Path, images: Path | None, options: _Options) -> Iterator[Sample | BadRecord]:
    frames = list_frames(source, images, options.split_file, options.every)
    if options.sample is not None:
        yield from _draw(frames, options, options.sample)
        return
    for frame in frames:
        if isinstance(frame, BadRecord):
            yield frame
            continue
        try:
            labels = frame.read_label()
            present = _present(labels)
            if present:
                image = frame.read_image()
                yield from (_sample(frame, name, labels, image, options) for name in present)
        except RecordError as error:
            yield frame.to_bad_record(error)


def _draw(
    frames: Iterator[LabelledFrame | BadRecord], options: _Options, count: int
) -> Iterator[Sample | BadRecord]:
    """Draw frames without replacement, one sample for each frame.

    The seed gives the order of the frames. Each frame is used for the one of its affordances that
    lacks most samples, until every affordance has its quota.
    """
    known: list[LabelledFrame] = []
    for frame in frames:
        if isinstance(frame, BadRecord):
            yield frame
        else:
            known.append(frame)
    missing = _quotas(count)
    order: list[int] = np.random.default_rng(options.seed).permutation(len(known)).tolist()
    for frame in (known[index] for index in order):
        try:
            labels = frame.read_label()
            usable = [name for name in _present(labels) if missing.get(name, 0)]
            if usable:
                name = max(usable, key=lambda name: missing[name])
                yield _sample(frame, name, labels, frame.read_image(), options)
                missing[name] -= 1
        except RecordError as error:
            yield frame.to_bad_record(error)
        if not any(missing.values()):
            return
    rest = ", ".join(f"{number} of {name}" for name, number in missing.items() if number)
    raise UserError(
        f"format {NAME}: {len(known):,} labelled frames are too few to draw {count:,} "
        f"(still missing: {rest}); give a smaller --sample"
    )


def _quotas(count: int) -> dict[str, int]:
    """The number of samples of each affordance. The first ones get the remainder."""
    quota, remainder = divmod(count, len(SAMPLED))
    return {name: quota + (index < remainder) for index, name in enumerate(SAMPLED)}


def _present(labels: NDArray[np.uint8]) -> Sequence[str]:
    values: list[int] = np.unique(labels).tolist()
    return [AFFORDANCES[value - 1] for value in values if value]


def _sample(
    frame: LabelledFrame,
    affordance: str,
    labels: NDArray[np.uint8],
    image: EncodedImage,
    options: _Options,
) -> Sample:
    if labels.shape != image.size[::-1]:
        raise RecordError(
            ErrorCode.SIZE_MISMATCH,
            f"{frame.image_name} is {image.size[0]}x{image.size[1]} px, but its label is "
            f"{labels.shape[1]}x{labels.shape[0]}",
        )
    return Sample(
        id=f"{NAME}-{options.task}-{frame.tool}-{frame.number}-{affordance}",
        task=options.task,
        instruction=INSTRUCTIONS[affordance].format(tool=frame.category),
        image_size=image.size,
        target=_to_target(labels == AFFORDANCES.index(affordance) + 1, image.size, options.task),
        image=image.data,
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


def _to_target(mask: BoolArray, size: tuple[int, int], task: Task) -> Target:
    """The mask itself, or the tight box around its pixels (their outer edges)."""
    if task is Task.POINTING:
        return region_target(size, mask=mask)
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return box_target([int(corner) for corner in corners], size, "the labelled part")
