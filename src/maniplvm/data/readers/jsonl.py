"""Our own exchange format: one object a line, for data that no other reader knows.

    {"id": "a-1", "task": "affordance", "instruction": "open the drawer",
     "image": "frames/1.png", "box": [10, 20, 60, 50]}

`"task": "trajectory"` has `"trace": [[x, y], ...]` instead. `"task": "pointing"` has one or several
of `"polygons": [[[x, y], ...], ...]`, `"boxes": [[x1, y1, x2, y2], ...]` and `"mask"` (an image's
path: what is not black), whose union is right, and optionally `"points": [[x, y], ...]` that the
data set itself gives as right. Optional for all: `split`, `category`, `scene`, `part`, `provenance`
(an object), `width` and `height` (checked against the image). Records with the same `scene` show the
same situation; `part` names what the gripper must touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.manifest import SPLIT_NAME
from maniplvm.data.masks import read_mask
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import Record, samples_of
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import box_target, region_target, trace_target
from maniplvm.tasks.sample import Sample, Target, Task

NAME = "jsonl"

_TARGET_KEYS = {
    Task.AFFORDANCE: ("box",),
    Task.TRAJECTORY: ("trace",),
    Task.POINTING: ("polygons", "boxes", "mask"),
}
_MARKS = "points"
_KEYS = (
    *("id", "task", "instruction", "image"),
    *(key for keys in _TARGET_KEYS.values() for key in keys),
    _MARKS,
    *("split", "category", "scene", "part", "provenance", "width", "height"),
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
    _require_own_keys(record, task)
    instruction, image = record.text("instruction"), record.text("image")
    split = record.optional_text("split") or "train"
    if not SPLIT_NAME.fullmatch(split):
        raise RecordError(
            Cause.BAD_VALUE, f"'split' {split!r} needs letters, digits, '_', '-' and '.' only"
        )
    picture = record.image(image, (record.fields.get("width"), record.fields.get("height")))
    return Sample(
        id=str(record.id),
        task=task,
        instruction=instruction,
        image_size=picture.size,
        target=_target(record, task, picture.size),
        image=picture.data,
        split=split,
        category=record.optional_text("category"),
        scene=record.optional_text("scene") or "",
        part=record.optional_text("part") or "",
        provenance={**record.mapping("provenance"), **record.provenance(NAME, image=image)},
    )


def _require_own_keys(record: Record, task: Task) -> None:
    """Only the keys of the task's own target, and at least one of them."""
    own = _TARGET_KEYS[task]
    known = [key for keys in _TARGET_KEYS.values() for key in keys]
    given = [key for key in (*known, _MARKS) if record.fields.get(key) is not None]
    if not given:
        record.key_of(*known)
    right = [key for key in given if key in own]
    allowed = (*own, _MARKS) if task is Task.POINTING else own
    strange = [key for key in given if key not in allowed]
    if right and strange:
        raise RecordError(
            Cause.BAD_VALUE, f"holds both {right[0]!r} and {strange[0]!r}; task {task} needs one"
        )
    if not right:
        wanted = " or ".join(map(repr, own))
        raise RecordError(Cause.BAD_VALUE, f"task {task} needs the key {wanted}")


def _target(record: Record, task: Task, size: tuple[int, int]) -> Target:
    fields = record.fields
    if task is Task.AFFORDANCE:
        return box_target(fields["box"], size)
    if task is Task.TRAJECTORY:
        return trace_target(fields["trace"], size)
    name = record.optional_text("mask")
    return region_target(
        size,
        polygons=fields.get("polygons"),
        boxes=fields.get("boxes"),
        mask=None if name is None else read_mask(record.file.image_root, name),
        marks=fields.get(_MARKS),
    )


def _task(name: str) -> Task:
    if name not in tuple(Task):
        raise RecordError(Cause.BAD_VALUE, f"unknown task {name!r}; choose from {', '.join(Task)}")
    return Task(name)
