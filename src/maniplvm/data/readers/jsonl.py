"""Our own exchange format: one object a line, for data that no other reader knows.

    {"id": "a-1", "task": "affordance", "instruction": "open the drawer",
     "image": "frames/1.png", "box": [10, 20, 60, 50]}

`"task": "trajectory"` has `"trace": [[x, y], ...]` instead. Optional: `split`, `category`,
`provenance` (an object), `width` and `height` (checked against the picture).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.manifest import SPLIT_NAME
from maniplvm.data.problems import BadRecord, Cause, RecordError
from maniplvm.data.readers.json_files import json_records
from maniplvm.data.readers.record import Record, samples_of
from maniplvm.data.targets import box_target, trace_target
from maniplvm.tasks.sample import Sample, Task

NAME = "jsonl"

_TARGET_KEY = {Task.AFFORDANCE: "box", Task.TRAJECTORY: "trace"}
_KEYS = (
    *("id", "task", "instruction", "image", "box", "trace"),
    *("split", "category", "provenance", "width", "height"),
)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON and JSONL file of a folder; see `json_records`."""
    return samples_of(json_records(source, images), sample_of)


def sample_of(record: Record) -> Sample:
    """One record; ids are kept as they are.

    Raises:
        RecordError: whatever is wrong with it.
    """
    unknown = [key for key in record.fields if key not in _KEYS]
    if unknown:
        raise RecordError(
            Cause.UNKNOWN_KEY,
            f"{', '.join(map(repr, unknown))[:200]}; valid keys are {', '.join(_KEYS)}",
        )
    record.key_of("id")
    task = _task(record.text("task"))
    if record.key_of("box", "trace") != _TARGET_KEY[task]:
        raise RecordError(Cause.BAD_VALUE, f"task {task} needs the key {_TARGET_KEY[task]!r}")
    instruction, image = record.text("instruction"), record.text("image")
    split = record.optional_text("split") or "train"
    if not SPLIT_NAME.fullmatch(split):
        raise RecordError(
            Cause.BAD_VALUE, f"'split' {split!r} needs letters, digits, '_', '-' and '.' only"
        )
    picture = record.picture(image, (record.fields.get("width"), record.fields.get("height")))
    to_target = box_target if task is Task.AFFORDANCE else trace_target
    return Sample(
        id=str(record.id),
        task=task,
        instruction=instruction,
        image_size=picture.size,
        target=to_target(record.fields[_TARGET_KEY[task]], picture.size),
        image=picture.data,
        split=split,
        category=record.optional_text("category"),
        provenance={**record.mapping("provenance"), **record.provenance(NAME, image=image)},
    )


def _task(name: str) -> Task:
    if name not in tuple(Task):
        raise RecordError(Cause.BAD_VALUE, f"unknown task {name!r}; choose from {', '.join(Task)}")
    return Task(name)
