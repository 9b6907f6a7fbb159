"""RoboRefIt (Lu et al. 2023, VL-Grasp) and sets made from it: the box of the object that is meant.

Sets for reinforcement learning spell a record `{problem, image, bbox}`; the original spells it
`{text, rgb_path, bbox, class, ...}`. Both are read. `bbox` is `[x1, y1, x2, y2]` in pixels of the
original image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import (
    IMAGE_PLACEHOLDER,
    Record,
    only_image,
    samples_of,
    text_value,
)
from maniplvm.data.record_errors import BadRecord
from maniplvm.data.validation import box_target
from maniplvm.tasks.sample import Sample, Task

NAME = "roborefit"


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`.

    A file named after a split (`roborefit_testA.json`) gives that split.
    """
    return samples_of(json_records(source, images), sample_of)


def sample_of(record: Record) -> Sample:
    """One record `{problem | text, image | rgb_path, bbox}`.

    Raises:
        RecordError: whatever is wrong with it.
    """
    instruction = record.text("problem", "text").replace(IMAGE_PLACEHOLDER, " ")
    image = only_image(record.fields[record.key_of("image", "rgb_path")])
    picture = record.image(image, (record.fields.get("width"), record.fields.get("height")))
    split = record.file.split or "train"
    return Sample(
        id=record.stable_id(NAME, f"{Task.AFFORDANCE}-{split}"),
        task=Task.AFFORDANCE,
        instruction=text_value(instruction, "the instruction"),
        image_size=picture.size,
        target=box_target(record.fields[record.key_of("bbox")], picture.size, "'bbox'"),
        image=picture.data,
        split=split,
        category=record.optional_text("class"),
        provenance=record.provenance(NAME, source_id=record.id, image=image),
    )
