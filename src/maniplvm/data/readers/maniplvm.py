"""The training files of ManipLVM-R1 (Song et al. 2025), derived from ShareRobot.

Its trajectory files hold `{image, problem, solution}`, as in VLM-R1. Its affordance files keep the
keys of ShareRobot, with the box as a list. Both are read here. `solution` is a list, or a string
that holds JSON. Coordinates are pixels of the original image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers import sharerobot
from maniplvm.data.readers._json import IMAGE_PLACEHOLDER, Record, parse_json, read_samples
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import as_list, as_string, box_target, trace_target
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task

NAME = "maniplvm"

_SOLUTION = "'solution'"
_ANSWER_TAGS = re.compile(r"\s*<answer>(.*)</answer>\s*", re.DOTALL)


def read(source: Path, images: Path | None) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`."""
    return read_samples(source, images, to_sample)


def to_sample(record: Record) -> Sample:
    """Convert `{image, problem, solution}`, or a record with the keys of ShareRobot.

    Raises:
        RecordError: the record is not valid.
    """
    key = record.key_of("solution", sharerobot.BOX_KEY, *sharerobot.TRACE_KEYS)
    if key != "solution":
        return sharerobot.to_sample(record, NAME)
    instruction = record.text("problem").replace(IMAGE_PLACEHOLDER, " ").strip()
    image_name = record.image_name("image")
    image = record.read_image(image_name, record.stated_size)
    target = _to_target(_parse_solution(record.fields[key]), image.size)
    task = Task.AFFORDANCE if isinstance(target, BoxTarget) else Task.TRAJECTORY
    return Sample(
        id=record.stable_id(NAME, task),
        task=task,
        instruction=as_string(instruction, "'problem'"),
        image_size=image.size,
        target=target,
        image=image.data,
        provenance=record.provenance(NAME, source_id=record.id, image=image_name),
    )


def _parse_solution(solution: object) -> object:
    if not isinstance(solution, str):
        return solution
    tagged = _ANSWER_TAGS.fullmatch(solution)
    return parse_json(tagged[1] if tagged else solution, _SOLUTION)


def _to_target(value: object, size: tuple[int, int]) -> Target:
    """A box: `[x1, y1, x2, y2]` or `{"bbox_2d": ...}`; a trace: `[[x, y], ...]` or `{"point_2d"}`s.

    A box may be the only item of a list.
    """
    entries = [cast("Any", value)] if isinstance(value, dict) else as_list(value, _SOLUTION)
    if entries and all(isinstance(entry, dict) for entry in entries):
        return _target_of_objects(entries, size)
    if entries and not any(isinstance(entry, list) for entry in entries):
        return box_target(entries, size, _SOLUTION)
    if len(entries) == 1 and len(as_list(entries[0], _SOLUTION)) == 4:
        return box_target(entries[0], size, _SOLUTION)
    return trace_target(entries, size, _SOLUTION)


def _target_of_objects(objects: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Target:
    if all("point_2d" in entry for entry in objects):
        return trace_target([entry["point_2d"] for entry in objects], size, _SOLUTION)
    if len(objects) == 1 and "bbox_2d" in objects[0]:
        return box_target(objects[0]["bbox_2d"], size, _SOLUTION)
    found = ", ".join(sorted({repr(key) for entry in objects for key in entry})) or "nothing"
    raise RecordError(
        ErrorCode.MISSING_KEY,
        f"{_SOLUTION} needs one 'bbox_2d' or several 'point_2d'; found {found[:200]}",
    )
