"""RoboAfford-Eval (Tang et al. 2025): pointing, scored with a mask.

A record is `{category, question, answer, img, mask}`. Images lie in `images` and masks in `masks`
beside the file. `answer` is a flat list of reference points, or a list of polygons whose union is
the region. The mask is the region, as in the benchmark's own scoring; without a mask it is the
polygons. The data come as two files: `annotations_absxy.json` in pixels and
`annotations_normxy.json` in 0..1. The file's name decides. If a folder holds both, only the first
is read. The sentence of a question that describes the answer format is removed, because each model
is prompted with its own format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from maniplvm.data.masks import read_mask
from maniplvm.data.readers._json import Record, parse_json, read_samples
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import (
    as_list,
    as_number,
    as_string,
    region_target,
)
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import Sample, Task

NAME = "roboafford"

_IN_PIXELS, _NORMALIZED = "absxy", "normxy"
_ANSWER = "'answer'"
_ANSWER_FORMAT = re.compile(r"\s+Your answer should be formatted\b.*", re.DOTALL)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`."""
    has_pixels = source.is_dir() and any(source.rglob(f"*{_IN_PIXELS}*.json"))
    return read_samples(source, images, to_sample, (_IN_PIXELS,) if has_pixels else ())


def to_sample(record: Record) -> Sample:
    """Convert `{category, question, answer, img, mask}`.

    Raises:
        RecordError: the record is not valid.
    """
    image_name = _without_folder(record.text("img"), record.file.image_root)
    image = record.read_image(image_name)
    return Sample(
        id=record.stable_id(NAME, Task.POINTING),
        task=Task.POINTING,
        instruction=as_string(_ANSWER_FORMAT.sub("", record.text("question")), "'question'"),
        image_size=image.size,
        target=_to_target(record, image.size),
        image=image.data,
        split="test",
        category=record.optional_text("category"),
        provenance=record.provenance(
            NAME, source_id=record.id, image=image_name, mask=record.optional_text("mask")
        ),
    )


def _to_target(record: Record, size: tuple[int, int]) -> RegionTarget:
    name = record.optional_text("mask")
    root = _mask_root(record)
    mask = None if name is None else read_mask(root, _without_folder(name, root))
    answer = _parse_answer(record.value("answer"))
    if _NORMALIZED in record.file.path.name:
        answer = _to_pixels(answer, size)
    if not answer:
        answer = None
    is_flat = answer is not None and _is_point(answer[0])
    if is_flat and mask is None:
        raise RecordError(
            ErrorCode.MISSING_KEY,
            f"{_ANSWER} is a list of points, which needs a 'mask' for scoring",
        )
    polygons = None if is_flat else answer
    checked = region_target(
        size, polygons=polygons, mask=mask, points=answer if is_flat else None, name=_ANSWER
    )
    return checked if mask is None else RegionTarget(mask=mask, marks=checked.marks)


def _mask_root(record: Record) -> Path:
    beside = record.file.path.parent / "masks"
    return beside if beside.is_dir() else record.file.image_root


def _without_folder(name: str, folder: Path) -> str:
    """A name relative to a folder, whether or not it starts with the folder's own name."""
    return name.removeprefix(f"{folder.name}/")


def _parse_answer(answer: object) -> list[Any]:
    value = parse_json(answer, _ANSWER) if isinstance(answer, str) else answer
    return list(as_list(value, _ANSWER))


def _is_point(value: object) -> bool:
    return isinstance(value, list) and not any(
        isinstance(item, list) for item in cast("list[object]", value)
    )


def _to_pixels(values: list[Any], size: tuple[int, int]) -> list[Any]:
    """Convert normalized points to pixels, at any depth of nesting."""
    if _is_point(values):
        if len(values) != 2:
            raise RecordError(
                ErrorCode.WRONG_TYPE, f"{_ANSWER}: a point needs 2 numbers x, y, got {len(values)}"
            )
        return [as_number(each, _ANSWER) * side for each, side in zip(values, size, strict=True)]
    return [_to_pixels(list(as_list(value, _ANSWER)), size) for value in values]
