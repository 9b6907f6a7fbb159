"""The files that ManipLVM-R1 (Song et al. 2025) trains on, derived from ShareRobot.

Its trajectory files hold `{image, problem, solution}`, as in VLM-R1; its affordance files keep
ShareRobot's keys, with the box as a list. Both spellings are read here. `solution` is a list, or a
text that is JSON; coordinates are pixels of the original image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers import sharerobot
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import (
    IMAGE_PLACEHOLDER,
    Record,
    only_image,
    samples_of,
    text_value,
)
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import box_target, items, shown, trace_target
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task

NAME = "maniplvm"

_WHAT = "'solution'"
_ANSWER_TAGS = re.compile(r"\s*<answer>(.*)</answer>\s*", re.DOTALL)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`."""
    return samples_of(json_records(source, images), sample_of)


def sample_of(record: Record) -> Sample:
    """One record `{image, problem, solution}`, or one with ShareRobot's keys.

    Raises:
        RecordError: whatever is wrong with it.
    """
    key = record.key_of("solution", sharerobot.BOX_KEY, *sharerobot.TRACE_KEYS)
    if key != "solution":
        return sharerobot.sample_of(record, NAME)
    instruction = record.text("problem").replace(IMAGE_PLACEHOLDER, " ").strip()
    image = only_image(record.fields[record.key_of("image")])
    picture = record.image(image, (record.fields.get("width"), record.fields.get("height")))
    target = _target(_decoded(record.fields[key]), picture.size)
    task = Task.AFFORDANCE if isinstance(target, BoxTarget) else Task.TRAJECTORY
    return Sample(
        id=record.stable_id(NAME, task),
        task=task,
        instruction=text_value(instruction, "'problem'"),
        image_size=picture.size,
        target=target,
        image=picture.data,
        provenance=record.provenance(NAME, source_id=record.id, image=image),
    )


def _decoded(solution: object) -> object:
    if not isinstance(solution, str):
        return solution
    tagged = _ANSWER_TAGS.fullmatch(solution)
    try:
        return json.loads(tagged[1] if tagged else solution)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RecordError(
            Cause.NOT_JSON, f"'solution' is a text but not JSON ({error}): {shown(solution)}"
        ) from error


def _target(value: object, size: tuple[int, int]) -> Target:
    """A box: `[x1, y1, x2, y2]` or `{"bbox_2d": ...}`; a trace: `[[x, y], ...]` or `{"point_2d"}`s.

    A box may stand alone in a list.
    """
    entries = [cast("Any", value)] if isinstance(value, dict) else items(value, _WHAT)
    if entries and all(isinstance(entry, dict) for entry in entries):
        return _labelled_target(entries, size)
    if entries and not any(isinstance(entry, list) for entry in entries):
        return box_target(entries, size, _WHAT)
    if len(entries) == 1 and len(items(entries[0], _WHAT)) == 4:
        return box_target(entries[0], size, _WHAT)
    return trace_target(entries, size, _WHAT)


def _labelled_target(objects: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Target:
    if all("point_2d" in entry for entry in objects):
        return trace_target([entry["point_2d"] for entry in objects], size, _WHAT)
    if len(objects) == 1 and "bbox_2d" in objects[0]:
        return box_target(objects[0]["bbox_2d"], size, _WHAT)
    found = ", ".join(sorted({repr(key) for entry in objects for key in entry})) or "nothing"
    raise RecordError(
        Cause.MISSING_KEY, f"{_WHAT} needs one 'bbox_2d' or several 'point_2d'; found {found[:200]}"
    )
