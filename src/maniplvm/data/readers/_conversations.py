"""Records in LLaVA style: `{id, image, conversations}`, with the label inside the answer's text.

`maniplvm.tasks.parse_answer` parses the text, as it parses the answers of models. Labels must meet a
stricter rule than models: a list that the parser would have to repair is rejected here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from maniplvm.data.readers._json import IMAGE_PLACEHOLDER, Record, read_samples
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import (
    as_list,
    as_string,
    box_target,
    looks_normalized,
    short_repr,
    trace_target,
)
from maniplvm.errors import UserError
from maniplvm.geometry.frames import FRAMES, Frame, FrameSpec
from maniplvm.tasks.parsing.reading import MAX_PAYLOAD, Answer, parse_answer
from maniplvm.tasks.parsing.status import Guess, ParseStatus
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

_ANSWER = "the answer"
_ROLES = ("human", "gpt")
_SEARCHED_LENGTH = 4096
_QUOTED_TASK = re.compile(
    r"\bthe task is:?\s*\\?[\"“](.+?)\\?[\"”](?=\s*(?:[.,;?!]|$))", re.IGNORECASE | re.DOTALL
)
_BARE_TASK = re.compile(
    r"\bthe task is:?\s+([^\"“\n]+?)(?:,\s+and the previous|[.?!](?:\s|$)|$)", re.IGNORECASE
)

_NUMBER = r"[^\s,\[\]()]{1,40}"
_PAIR = rf"[\[(]\s*{_NUMBER}\s*,\s*{_NUMBER}\s*[\])]"
_PAIRS = re.compile(rf"[\[(]\s*{_PAIR}(?:\s*,\s*{_PAIR})*\s*,?\s*[\])]")

_ERROR_CODES = {
    ParseStatus.NON_FINITE: ErrorCode.NOT_FINITE,
    ParseStatus.OUT_OF_RANGE: ErrorCode.OUTSIDE_IMAGE,
    ParseStatus.EMPTY_BOX: ErrorCode.EMPTY_BOX,
    ParseStatus.SWAPPED_CORNERS: ErrorCode.EMPTY_BOX,
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
        images: The folder that image names are relative to; None as in `json_records`.
        frame: The coordinate frame of the answers: a name in `maniplvm.geometry.FRAMES`.
        format_name: The format's name in error messages.
        to_sample: Converts a record, given the frame.

    Raises:
        UserError: the frame is unknown (raised at the call), or the source cannot be read.
    """
    if frame not in FRAMES:
        raise UserError(
            f"format {format_name}: unknown --frame {frame!r}; choose from {', '.join(FRAMES)}"
        )
    spec = FRAMES[frame]
    return read_samples(source, images, lambda record: to_sample(record, spec))


def first_turn(record: Record) -> tuple[str, str]:
    """The first question and its answer. Later turns have other subjects and are ignored.

    Raises:
        RecordError: `conversations` is missing, or does not start with a string of `human` and a
            string of `gpt`.
    """
    turns = as_list(record.value("conversations"), "'conversations'")
    if len(turns) < len(_ROLES):
        raise RecordError(
            ErrorCode.BAD_VALUE, f"'conversations' needs a question and an answer, got {len(turns)}"
        )
    return _text_of_turn(turns[0], _ROLES[0]), _text_of_turn(turns[1], _ROLES[1])


def instruction_of(question: str) -> str:
    """The instruction: the text after "the task is", or else the whole question.

    Raises:
        RecordError: the question holds only the image placeholder.
    """
    text = question.replace(IMAGE_PLACEHOLDER, " ").strip()
    start = text[:_SEARCHED_LENGTH]
    found = _QUOTED_TASK.search(start) or _BARE_TASK.search(start)
    return as_string(found[1] if found else text, "the question")


def parse_trace(answer: str, frame: Frame) -> TraceTarget:
    """The trace in an answer's text: its only list of pairs. Other text is ignored.

    Args:
        answer: Such as `The next action step: [0.1, ...]. The trajectory: [[12, 30], [14, 33]]`.
        frame: The coordinate frame of the numbers, bound to the image.

    Raises:
        RecordError: there is no such list or more than one, it has fewer than two points, or a
            point is not valid.
    """
    _require_length(answer)
    found = [match[0] for match in _PAIRS.finditer(answer)]
    if len(found) != 1:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"{_ANSWER} needs one list of points [x, y], got {len(found)}: {short_repr(answer)}",
        )
    reading = parse_answer(found[0], Task.TRAJECTORY, frame, point_range=(1, MAX_PAYLOAD))
    if reading.value is None or reading.guesses:
        raise RecordError(
            _ERROR_CODES.get(reading.status, ErrorCode.BAD_VALUE),
            f"{_ANSWER} is not a trace ({_reason(reading)}): {short_repr(found[0])}",
        )
    _require_frame(reading.value, frame)
    return trace_target(reading.value.tolist(), frame.view.original, _ANSWER)


def parse_box(answer: str, frame: Frame) -> BoxTarget:
    """The box in an answer whose whole text is one box.

    Args:
        answer: Such as `[352, 186, 372, 201]`, with or without `<answer>` tags.
        frame: The coordinate frame of the numbers, bound to the image.

    Raises:
        RecordError: there is no box, it is empty, its corners are in the wrong order, or it lies
            outside the image.
    """
    _require_length(answer)
    tagged = answer if "<answer>" in answer else f"<answer>{answer}</answer>"
    tagged = tagged if "<think>" in tagged else f"<think></think>{tagged}"
    reading = parse_answer(tagged, Task.AFFORDANCE, frame)
    if reading.value is None or reading.guesses:
        swapped = Guess.SWAPPED_CORNERS in reading.guesses
        status = ParseStatus.SWAPPED_CORNERS if swapped else reading.status
        raise RecordError(
            _ERROR_CODES.get(status, ErrorCode.BAD_VALUE),
            f"{_ANSWER} is not a box ({_reason(reading)}): {short_repr(answer)}",
        )
    _require_frame(reading.value, frame)
    return box_target(reading.value.tolist(), frame.view.original, _ANSWER)


def _reason(reading: Answer) -> str:
    """Why an answer is no label: its status, or what its reading had to assume."""
    return ", ".join(reading.guesses) or reading.status


def _text_of_turn(turn: object, role: str) -> str:
    if not isinstance(turn, dict):
        raise RecordError(ErrorCode.WRONG_TYPE, f"a turn is an object, got {short_repr(turn)}")
    fields = cast("dict[str, Any]", turn)
    if fields.get("from") != role:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"expected a turn from {role!r} in 'conversations', got {short_repr(fields.get('from'))}",
        )
    return as_string(fields.get("value"), f"the 'value' of {role!r}")


def _require_length(answer: str) -> None:
    if len(answer) > MAX_PAYLOAD:
        raise RecordError(
            ErrorCode.BAD_VALUE,
            f"{_ANSWER} has {len(answer):,} characters; at most {MAX_PAYLOAD:,}",
        )


def _require_frame(value: np.ndarray[Any, np.dtype[np.float64]], frame: Frame) -> None:
    if frame.is_identity and looks_normalized(value):
        raise RecordError(
            ErrorCode.NOT_PIXELS,
            f"every coordinate of {_ANSWER} lies in 0..1, and some are fractions, so it seems to be "
            "a share of the image; give the coordinate frame: --frame unit",
        )
