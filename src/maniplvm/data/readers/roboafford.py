"""RoboAfford-Eval (Tang et al. 2025): where to point, judged by a mask.

A record is `{category, question, answer, img, mask}`; images lie in `images`, masks in `masks`
beside the file. `answer` is a flat list of right points, or a list of polygons whose union is right.
The mask decides, as in the benchmark's own scoring; without one the polygons do. The data come as
two files: `annotations_absxy.json` in pixels, and `annotations_normxy.json` in shares of the sides,
which its name tells. Of a folder that holds both only the first is read. What a question says about
the form of its answer is left out: each model is asked in its own form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from maniplvm.data.masks import read_mask
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import Record, samples_of, text_value
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import items, number, region_target, shown
from maniplvm.tasks.sample import Sample, Task
from maniplvm.tasks.targets import RegionTarget

NAME = "roboafford"

_IN_PIXELS, _IN_SHARES = "absxy", "normxy"
_WHAT = "'answer'"
_FORM = re.compile(r"\s+Your answer should be formatted\b.*", re.DOTALL)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`."""
    both = source.is_dir() and any(source.rglob(f"*{_IN_PIXELS}*.json"))
    return samples_of(json_records(source, images, (_IN_PIXELS,) if both else ()), sample_of)


def sample_of(record: Record) -> Sample:
    """One record `{category, question, answer, img, mask}`.

    Raises:
        RecordError: whatever is wrong with it.
    """
    image = _below(record.file.image_root, record.text("img"))
    picture = record.image(image)
    return Sample(
        id=record.stable_id(NAME, Task.POINTING),
        task=Task.POINTING,
        instruction=text_value(_FORM.sub("", record.text("question")), "'question'"),
        image_size=picture.size,
        target=_region(record, picture.size),
        image=picture.data,
        split="test",
        category=record.optional_text("category"),
        provenance=record.provenance(
            NAME, source_id=record.id, image=image, mask=record.optional_text("mask")
        ),
    )


def _region(record: Record, size: tuple[int, int]) -> RegionTarget:
    name = record.optional_text("mask")
    root = _mask_root(record)
    mask = None if name is None else read_mask(root, _below(root, name))
    answer = _decoded(record.fields[record.key_of("answer")])
    if _IN_SHARES in record.file.path.name:
        answer = _scaled(answer, size)
    if not answer:
        answer = None
    is_flat = answer is not None and _is_point(answer[0])
    if is_flat and mask is None:
        raise RecordError(
            Cause.MISSING_KEY, f"{_WHAT} is a list of points, which needs a 'mask' to be judged by"
        )
    polygons = None if is_flat else answer
    checked = region_target(
        size, polygons=polygons, mask=mask, marks=answer if is_flat else None, what=_WHAT
    )
    return checked if mask is None else RegionTarget(mask=mask, marks=checked.marks)


def _mask_root(record: Record) -> Path:
    beside = record.file.path.parent / "masks"
    return beside if beside.is_dir() else record.file.image_root


def _below(folder: Path, name: str) -> str:
    """A name relative to a folder, whether or not it repeats the folder's own name."""
    return name.removeprefix(f"{folder.name}/")


def _decoded(answer: object) -> list[Any]:
    if isinstance(answer, str):
        try:
            answer = json.loads(answer)
        except (json.JSONDecodeError, RecursionError) as error:
            raise RecordError(
                Cause.NOT_JSON, f"{_WHAT} is a text but not JSON: {shown(answer)}"
            ) from error
    return list(items(answer, _WHAT))


def _is_point(value: object) -> bool:
    return isinstance(value, list) and not any(
        isinstance(item, list) for item in cast("list[object]", value)
    )


def _scaled(values: list[Any], size: tuple[int, int]) -> list[Any]:
    """Points in shares of the sides as points in pixels, however deep they stand."""
    if _is_point(values):
        if len(values) != 2:
            raise RecordError(
                Cause.WRONG_TYPE, f"{_WHAT}: a point needs 2 numbers x, y, got {len(values)}"
            )
        return [number(each, _WHAT) * side for each, side in zip(values, size, strict=True)]
    return [_scaled(list(items(value, _WHAT)), size) for value in values]
