"""ShareRobot (Ji et al. 2025, RoboBrain): affordance boxes and trajectories on robot videos' frames.

Published as `affordance/affordance.json` and `trajectory/trajectory.json`, each with its images
in a folder `images` beside it. All coordinates are pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import Record, samples_of
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import box_target, number, trace_target
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task

NAME = "sharerobot"
BOX_KEY = "affordance"
TRACE_KEYS = ("points", "trajectory")

_CORNER_AND_SIZE = ("x", "y", "width", "height")


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read ShareRobot's two files, or a folder that holds them; see `json_records`."""
    return samples_of(json_records(source, images, ("affordance", "trajectory")), sample_of)


def sample_of(record: Record, format_name: str = NAME) -> Sample:
    """One record `{id, instruction, image_path, meta_data, affordance | points | trajectory}`.

    Raises:
        RecordError: whatever is wrong with it.
    """
    key = record.key_of(BOX_KEY, *TRACE_KEYS)
    instruction = record.text("instruction")
    image_path = record.text("image_path")
    meta = record.mapping("meta_data")
    picture = record.image(image_path, (meta.get("original_width"), meta.get("original_height")))
    target = target_of(key, record.fields[key], picture.size)
    task = Task.AFFORDANCE if isinstance(target, BoxTarget) else Task.TRAJECTORY
    origin = meta.get("original_dataset")
    return Sample(
        id=record.stable_id(format_name, task),
        task=task,
        instruction=instruction,
        image_size=picture.size,
        target=target,
        image=picture.data,
        category=origin if isinstance(origin, str) else None,
        provenance=record.provenance(
            format_name, source_id=record.id, image=image_path, original_dataset=origin
        ),
    )


def target_of(key: str, value: object, size: tuple[int, int]) -> Target:
    """The target under one of the format's keys, in an image of this size [px].

    Raises:
        RecordError: it is not one.
    """
    if key in TRACE_KEYS:
        return trace_target(value, size, f"'{key}'")
    if isinstance(value, dict):
        return box_target(_corners(cast("dict[str, Any]", value)), size, f"'{key}'")
    return box_target(value, size, f"'{key}'")


def _corners(box: Mapping[str, Any]) -> list[float]:
    """The published box: its top-left corner and its size [px]."""
    missing = [name for name in _CORNER_AND_SIZE if name not in box]
    if missing:
        found = ", ".join(map(repr, box)) or "nothing"
        raise RecordError(
            Cause.MISSING_KEY,
            f"'{BOX_KEY}' has no {' or '.join(map(repr, missing))}; found {found}",
        )
    x, y, width, height = (number(box[name], f"'{BOX_KEY}'") for name in _CORNER_AND_SIZE)
    return [x, y, x + width, y + height]
