"""Exchange format of this project: one object a line, for data that no other reader knows.

    {"id": "a-1", "task": "affordance", "instruction": "open the drawer",
     "image": "frames/1.png", "box": [10, 20, 60, 50]}

`"task": "trajectory"` has `"trace": [[x, y], ...]` instead. `"task": "pointing"` has one or several
of `"polygons": [[[x, y], ...], ...]`, `"boxes": [[x1, y1, x2, y2], ...]` and `"mask"` (the path of
an image whose black pixels are outside). Their union is the region. `"points": [[x, y], ...]` is
optional and gives reference points of the data set. Optional for all tasks: `split`, `category`,
`scene`, `part`, `provenance` (an object), `width` and `height` (checked against the image). Records
with the same `scene` show the same situation. `part` names the part that the gripper must touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.manifest import SPLIT_NAME
from maniplvm.data.masks import read_mask
from maniplvm.data.readers._json import Record, read_samples
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import box_target, region_target, trace_target
from maniplvm.tasks.sample import Sample, Target, Task

NAME = "jsonl"

_TARGET_KEYS = {
    Task.AFFORDANCE: ("box",),
    Task.TRAJECTORY: ("trace",),
    Task.POINTING: ("polygons", "boxes", "mask"),
}
_POINTS = "points"
_KEYS = (
    *("id", "task", "instruction", "image"),
    *(key for keys in _TARGET_KEYS.values() for key in keys),
    _POINTS,
    *("split", "category", "scene", "part", "provenance", "width", "height"),
)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON and JSONL file of a folder; see `json_records`."""
    return read_samples(source, images, to_sample)


def to_sample(record: Record) -> Sample:
    """Convert one record. Its id is kept unchanged.

    Raises:
        RecordError: the record is not valid.
    """
    unknown = [key for key in record.fields if key not in _KEYS]
    if unknown:
        raise RecordError(
            ErrorCode.UNKNOWN_KEY,
            f"{', '.join(map(repr, unknown))[:200]}; valid keys are {', '.join(_KEYS)}",
        )
    record.key_of("id")
    task = _task(record.text("task"))
    _require_own_keys(record, task)
    instruction, image_name = record.text("instruction"), record.text("image")
    split = record.optional_text("split") or "train"
    if not SPLIT_NAME.fullmatch(split):
        raise RecordError(
            ErrorCode.BAD_VALUE, f"'split' {split!r} needs letters, digits, '_', '-' and '.' only"
        )
    image = record.read_image(image_name, record.stated_size)
    return Sample(
        id=str(record.id),
        task=task,
        instruction=instruction,
        image_size=image.size,
        target=_to_target(record, task, image.size),
        image=image.data,
        split=split,
        category=record.optional_text("category"),
        scene=record.optional_text("scene") or "",
        part=record.optional_text("part") or "",
        provenance={**record.mapping("provenance"), **record.provenance(NAME, image=image_name)},
    )


def _require_own_keys(record: Record, task: Task) -> None:
    """Require at least one key of the task's own target, and no key of another target."""
    own = _TARGET_KEYS[task]
    known = [key for keys in _TARGET_KEYS.values() for key in keys]
    given = [key for key in (*known, _POINTS) if record.fields.get(key) is not None]
    if not given:
        record.key_of(*known)
    valid = [key for key in given if key in own]
    allowed = (*own, _POINTS) if task is Task.POINTING else own
    invalid = [key for key in given if key not in allowed]
    if valid and invalid:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"holds both {valid[0]!r} and {invalid[0]!r}; task {task} needs one",
        )
    if not valid:
        expected = " or ".join(map(repr, own))
        raise RecordError(ErrorCode.BAD_VALUE, f"task {task} needs the key {expected}")


def _to_target(record: Record, task: Task, size: tuple[int, int]) -> Target:
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
        points=fields.get(_POINTS),
    )


def _task(name: str) -> Task:
    if name not in tuple(Task):
        raise RecordError(
            ErrorCode.BAD_VALUE, f"unknown task {name!r}; choose from {', '.join(Task)}"
        )
    return Task(name)
