"""ShareRobot (Ji et al. 2025, RoboBrain): affordance boxes and trajectories on frames of robot videos.

Published as `affordance/affordance.json` and `trajectory/trajectory.json`, each with a folder
`images` beside it. All coordinates are pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers._json import Record, read_samples
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import as_number, box_target, trace_target
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task

NAME = "sharerobot"
BOX_KEY = "affordance"
TRACE_KEYS = ("points", "trajectory")

_CORNER_AND_SIZE = ("x", "y", "width", "height")


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read one of ShareRobot's two files, or a folder that holds them; see `json_records`."""
    return read_samples(source, images, to_sample, ("affordance", "trajectory"))


def to_sample(record: Record, format_name: str = NAME) -> Sample:
    """Convert `{id, instruction, image_path, meta_data, affordance | points | trajectory}`.

    Raises:
        RecordError: the record is not valid.
    """
    key = record.key_of(BOX_KEY, *TRACE_KEYS)
    instruction = record.text("instruction")
    image_path = record.text("image_path")
    meta = record.mapping("meta_data")
    image = record.read_image(image_path, (meta.get("original_width"), meta.get("original_height")))
    target = to_target(key, record.fields[key], image.size)
    task = Task.AFFORDANCE if isinstance(target, BoxTarget) else Task.TRAJECTORY
    origin = meta.get("original_dataset")
    return Sample(
        id=record.stable_id(format_name, task),
        task=task,
        instruction=instruction,
        image_size=image.size,
        target=target,
        image=image.data,
        category=origin if isinstance(origin, str) else None,
        provenance=record.provenance(
            format_name, source_id=record.id, image=image_path, original_dataset=origin
        ),
    )


def to_target(key: str, value: object, size: tuple[int, int]) -> Target:
    """Convert the value under one of the format's keys.

    Args:
        key: `affordance`, `points` or `trajectory`.
        value: The value [px of the original image].
        size: `(width, height)` of the image [px].

    Raises:
        RecordError: the value is not a valid target.
    """
    if key in TRACE_KEYS:
        return trace_target(value, size, f"'{key}'")
    if isinstance(value, dict):
        return box_target(_corners(cast("dict[str, Any]", value)), size, f"'{key}'")
    return box_target(value, size, f"'{key}'")


def _corners(box: Mapping[str, Any]) -> list[float]:
    """The corners of a published box, which gives its top-left corner and its size [px]."""
    missing = [name for name in _CORNER_AND_SIZE if name not in box]
    if missing:
        found = ", ".join(map(repr, box)) or "nothing"
        raise RecordError(
            ErrorCode.MISSING_KEY,
            f"'{BOX_KEY}' has no {' or '.join(map(repr, missing))}; found {found}",
        )
    x, y, width, height = (as_number(box[name], f"'{BOX_KEY}'") for name in _CORNER_AND_SIZE)
    return [x, y, x + width, y + height]
