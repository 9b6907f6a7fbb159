"""Records in the style of LLaVA: `{id, image, conversations}`, the label inside an answer's text.

The text is read by the one parser of the house (`maniplvm.tasks.parse_answer`). A model may be
sloppy, a label may not: a list that the parser would have to repair is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import IMAGE_PLACEHOLDER, Record, samples_of, text_value
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import box_target, items, shown, trace_target
from maniplvm.errors import UserError
from maniplvm.geometry.frames import FRAMES, Frame, FrameSpec
from maniplvm.tasks.parsing.reading import MAX_PAYLOAD, ParseStatus, parse_answer
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

_ANSWER = "the answer"
_ROLES = ("human", "gpt")
_QUESTION_START = 4096
_QUOTED_TASK = re.compile(
    r"\bthe task is:?\s*\\?[\"“](.+?)\\?[\"”](?=\s*(?:[.,;?!]|$))", re.IGNORECASE | re.DOTALL
)
_BARE_TASK = re.compile(
    r"\bthe task is:?\s+([^\"“\n]+?)(?:,\s+and the previous|[.?!](?:\s|$)|$)", re.IGNORECASE
)

_NUMBER = r"[^\s,\[\]()]{1,40}"
_PAIR = rf"[\[(]\s*{_NUMBER}\s*,\s*{_NUMBER}\s*[\])]"
_PAIRS = re.compile(rf"[\[(]\s*{_PAIR}(?:\s*,\s*{_PAIR})*\s*,?\s*[\])]")

_CAUSES = {
    ParseStatus.NON_FINITE: Cause.NOT_FINITE,
    ParseStatus.OUT_OF_RANGE: Cause.OUTSIDE_IMAGE,
    ParseStatus.EMPTY_BOX: Cause.EMPTY_BOX,
    ParseStatus.SWAPPED_CORNERS: Cause.EMPTY_BOX,
}


def read_conversations(
    source: Path,
    images: Path | None,
    frame: str,
    format_name: str,
    to_sample: Callable[[Record, FrameSpec], Sample],
) -> Iterator[Sample | BadRecord]:
    """Read a file, or every JSON file of a folder; see `json_records`.

    Args:
        source: The file or folder.
        images: What image names are relative to.
        frame: In which the answers are written: a name of `maniplvm.geometry.FRAMES`.
        format_name: What an error calls the format.
        to_sample: Makes a sample of a record and the frame.

    Raises:
        UserError: an unknown frame (at the call; the valid ones are listed), or a source that
            cannot be read.
    """
    if frame not in FRAMES:
        raise UserError(
            f"format {format_name}: unknown --frame {frame!r}; choose from {', '.join(FRAMES)}"
        )
    spec = FRAMES[frame]
    return samples_of(json_records(source, images), lambda record: to_sample(record, spec))


def first_turn(record: Record) -> tuple[str, str]:
    """The first question and its answer; later turns are about something else.

    Raises:
        RecordError: `conversations` is missing, or does not begin with a text of `human` and one
            of `gpt`.
    """
    turns = items(record.fields[record.key_of("conversations")], "'conversations'")
    if len(turns) < len(_ROLES):
        raise RecordError(
            Cause.BAD_VALUE, f"'conversations' needs a question and an answer, got {len(turns)}"
        )
    return _said(turns[0], _ROLES[0]), _said(turns[1], _ROLES[1])


def instruction_of(question: str) -> str:
    """What the robot is told: what stands behind "the task is", else the whole question.

    Raises:
        RecordError: nothing is left but the image's place.
    """
    text = question.replace(IMAGE_PLACEHOLDER, " ").strip()
    start = text[:_QUESTION_START]
    found = _QUOTED_TASK.search(start) or _BARE_TASK.search(start)
    return text_value(found[1] if found else text, "the question")


def trace_in(answer: str, frame: Frame) -> TraceTarget:
    """The trace in an answer's text: its only list of pairs, whatever else it holds.

    Args:
        answer: Such as `The next action step: [0.1, ...]. The trajectory: [[12, 30], [14, 33]]`.
        frame: In which the numbers are written, bound to the image.

    Raises:
        RecordError: no such list or several, fewer than two points, or points that are none.
    """
    _require_bounded(answer)
    found = [match[0] for match in _PAIRS.finditer(answer)]
    if len(found) != 1:
        raise RecordError(
            Cause.BAD_VALUE,
            f"{_ANSWER} needs one list of points [x, y], got {len(found)}: {shown(answer)}",
        )
    reading = parse_answer(found[0], Task.TRAJECTORY, frame, point_range=(1, MAX_PAYLOAD))
    if reading.value is None:
        raise RecordError(
            _CAUSES.get(reading.status, Cause.BAD_VALUE),
            f"{_ANSWER} is no trace ({reading.status}): {shown(found[0])}",
        )
    _require_frame(reading.value, frame)
    return trace_target(reading.value.tolist(), frame.view.original, _ANSWER)


def box_in(answer: str, frame: Frame) -> BoxTarget:
    """The box that an answer's text consists of.

    Args:
        answer: Such as `[352, 186, 372, 201]`, with or without `<answer>` tags.
        frame: In which the numbers are written, bound to the image.

    Raises:
        RecordError: no box, an empty one, corners in the wrong order, or outside the image.
    """
    _require_bounded(answer)
    tagged = answer if "<answer>" in answer else f"<answer>{answer}</answer>"
    tagged = tagged if "<think>" in tagged else f"<think></think>{tagged}"
    reading = parse_answer(tagged, Task.AFFORDANCE, frame)
    status = reading.status if reading.value is None else reading.format_status
    if reading.value is None or status is ParseStatus.SWAPPED_CORNERS:
        raise RecordError(
            _CAUSES.get(status, Cause.BAD_VALUE), f"{_ANSWER} is no box ({status}): {shown(answer)}"
        )
    _require_frame(reading.value, frame)
    return box_target(reading.value.tolist(), frame.view.original, _ANSWER)


def _said(turn: object, role: str) -> str:
    if not isinstance(turn, dict):
        raise RecordError(Cause.WRONG_TYPE, f"a turn is an object, got {shown(turn)}")
    fields = cast("dict[str, Any]", turn)
    if fields.get("from") != role:
        raise RecordError(
            Cause.BAD_VALUE,
            f"expected a turn from {role!r} in 'conversations', got {shown(fields.get('from'))}",
        )
    return text_value(fields.get("value"), f"what {role!r} says")


def _require_bounded(answer: str) -> None:
    if len(answer) > MAX_PAYLOAD:
        raise RecordError(
            Cause.BAD_VALUE, f"{_ANSWER} has {len(answer):,} characters; at most {MAX_PAYLOAD:,}"
        )


def _require_frame(value: np.ndarray[Any, np.dtype[np.float64]], frame: Frame) -> None:
    if frame.is_identity and ((value >= 0) & (value <= 1)).all():
        raise RecordError(
            Cause.NOT_PIXELS,
            f"every coordinate of {_ANSWER} lies in 0..1; say in which frame it is: --frame unit",
        )
