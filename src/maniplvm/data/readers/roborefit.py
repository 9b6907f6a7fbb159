"""RoboRefIt (Lu et al. 2023, VL-Grasp) and data sets made from it: the box of the named object.

Data sets for reinforcement learning have records `{problem, image, bbox}`. The original has
`{text, rgb_path, bbox, class, ...}`. Both are read. `bbox` is `[x1, y1, x2, y2]` in pixels of the
original image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._json import IMAGE_PLACEHOLDER, Record, read_samples
from maniplvm.data.record_errors import BadRecord
from maniplvm.data.validation import as_string, box_target
from maniplvm.tasks.sample import Sample, Task

NAME = "roborefit"


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`.

    The split is the one in the file's name (`roborefit_testA.json`), else `train`.
    """
    return read_samples(source, images, to_sample)


def to_sample(record: Record) -> Sample:
    """Convert `{problem | text, image | rgb_path, bbox}`.

    Raises:
        RecordError: the record is not valid.
    """
    instruction = record.text("problem", "text").replace(IMAGE_PLACEHOLDER, " ")
    image_name = record.image_name("image", "rgb_path")
    image = record.read_image(image_name, record.stated_size)
    split = record.file.split or "train"
    return Sample(
        id=record.stable_id(NAME, f"{Task.AFFORDANCE}-{split}"),
        task=Task.AFFORDANCE,
        instruction=as_string(instruction, "the instruction"),
        image_size=image.size,
        target=box_target(record.value("bbox"), image.size, "'bbox'"),
        image=image.data,
        split=split,
        category=record.optional_text("class"),
        provenance=record.provenance(NAME, source_id=record.id, image=image_name),
    )
