"""Parse a completion into an answer in pixels of the original image.

Every completion is read twice. The *strict* reading accepts one `<think>` block followed by one
`<answer>` block that holds only JSON of the expected shape. It decides the format reward. The
*tolerant* reading finds coordinates in any answer format of `maniplvm.tasks.parsing.formats`. Its
value is scored. Both take linear time, and no text is executed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame, View
from maniplvm.tasks.parsing.blocks import read_blocks, strict_blocks, strict_blocks_error
from maniplvm.tasks.parsing.formats import find_coordinates, without_fence
from maniplvm.tasks.parsing.points import Coordinates, Point, spelling_guesses
from maniplvm.tasks.parsing.status import Guess, ParseStatus
from maniplvm.tasks.sample import Task

POINT_RANGE = (3, 10)
"""Minimum and maximum number of points of a trace answer."""

POINTING_RANGE = (1, 100)
"""Minimum and maximum number of points of a pointing answer."""

MAX_PAYLOAD = 8192
"""Maximum length of an answer in characters. A normal answer has a few hundred."""

MAX_OVERSHOOT = 1.0
"""Maximum distance of a number outside its range, as a multiple of the range.

A point slightly outside the image is scored. A number far outside is an error."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ. Two values of one key compete, which no strict answer allows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


_JSON = json.JSONDecoder(parse_int=float, object_pairs_hook=_unique_keys)
_PLAIN = re.compile(r"[\[\]\d\s,.eE+-]*+")
_NO_PAIRS = np.empty((0, 2))

_LEAST_SIDE = 1e-9
"""Shortest side of a box in the numbers of its frame. Conversion to pixels could round a shorter one
to no side at all."""

_List: TypeAlias = list[Any]


ANY_IMAGE = Frame("pixels", View.identity((1_000_000, 1_000_000)))
"""Pixels of an image of unknown size. The bound keeps the arithmetic finite."""


@dataclass(eq=False, slots=True)  # not frozen, because a frozen class makes a batch 3 % slower
class Answer:
    """The parsed content of a completion.

    Attributes:
        task: The task of the answer.
        value: Value of the tolerant reading [px of the original image, float64, read-only], or None
            if it failed. Shape `(4,)` `x1, y1, x2, y2` for affordance, `(N, 2)` for trajectory and
            pointing.
        status: Outcome of the tolerant reading: `ok` or `guessed` exactly if there is a `value`.
        format_status: Outcome of the strict reading. With `ok` the completion gets the format reward.
        reasoning: Stripped content of the `<think>` block, or None without one.
        guesses: What the tolerant reading assumed, in alphabetical order. Not empty exactly if the
            status is `guessed`.
    """

    task: Task
    value: FloatArray | None
    status: ParseStatus
    format_status: ParseStatus
    reasoning: str | None
    guesses: tuple[Guess, ...] = ()

    @property
    def parsed(self) -> bool:
        """Whether there is a value to score."""
        return self.value is not None

    @property
    def well_formed(self) -> bool:
        """Whether the completion has the exact form of the prompt."""
        return self.format_status is ParseStatus.OK


def parse_answer(
    text: str,
    task: Task | str,
    frame: Frame | None = None,
    point_range: tuple[int, int] = POINT_RANGE,
) -> Answer:
    """Parse a completion.

    Args:
        text: The completion; any string.
        task: `affordance`, `trajectory` or `pointing`.
        frame: The model's coordinate frame, bound to the image. None means pixels of an image of
            unknown size.
        point_range: Minimum and maximum number of points of a trace.

    Returns:
        The answer. A text that cannot be parsed gives a status and never an exception.

    Raises:
        ValueError: an unknown task.
    """
    task = task if isinstance(task, Task) else Task(task)
    frame = frame or ANY_IMAGE
    blocks = strict_blocks(text)
    if blocks is not None:
        reasoning, payload = blocks
        numbers, format_status = _strict_numbers(payload, task, frame, point_range)
        if numbers is not None:
            value = _to_pixels(numbers, task, frame)
            return Answer(task, value, ParseStatus.OK, ParseStatus.OK, reasoning.strip())
    else:
        format_status = ParseStatus(strict_blocks_error(text))

    tolerant = read_blocks(text, MAX_PAYLOAD)
    reasoning = None if tolerant.reasoning is None else tolerant.reasoning.strip()
    value, outcome = _tolerant_value(tolerant.payload, task, frame, point_range)
    if isinstance(outcome, ParseStatus):
        if outcome is ParseStatus.NOT_COORDINATES and not tolerant.tagged:
            outcome = ParseStatus.NO_ANSWER_TAG
        return Answer(task, None, outcome, format_status, reasoning)
    guesses = set(outcome)
    if tolerant.several:
        guesses.add(Guess.SEVERAL_ANSWERS)
    if tolerant.cut:
        guesses.add(Guess.TOO_LONG)
    status = ParseStatus.GUESSED if guesses else ParseStatus.OK
    return Answer(task, value, status, format_status, reasoning, tuple(sorted(guesses)))


def _strict_numbers(
    payload: str, task: Task, frame: Frame, point_range: tuple[int, int]
) -> tuple[FloatArray | None, ParseStatus]:
    """JSON of the exact shape, inside the frame: `(2, 2)` corners or `(N, 2)` points."""
    if len(payload) > MAX_PAYLOAD:
        return None, ParseStatus.TOO_LONG
    numbers = _json_numbers(payload, task)
    if numbers is None:
        return None, ParseStatus.NOT_COORDINATES
    status = _count_status(len(numbers), task, point_range)
    if status is not ParseStatus.OK:
        return None, status
    first_limit, second_limit = frame.limits
    for first, second in numbers.tolist():
        if not (0 <= first <= first_limit and 0 <= second <= second_limit):
            finite = np.isfinite(numbers).all()
            return None, ParseStatus.OUT_OF_RANGE if finite else ParseStatus.NON_FINITE
    if task is Task.AFFORDANCE:
        width, height = numbers[1] - numbers[0]
        if abs(width) < _LEAST_SIDE or abs(height) < _LEAST_SIDE:
            return None, ParseStatus.EMPTY_BOX
        if width < 0 or height < 0:
            return None, ParseStatus.SWAPPED_CORNERS
    return numbers, ParseStatus.OK


def _json_numbers(payload: str, task: Task) -> FloatArray | None:
    """The numbers of a strict answer, `(N, 2)`: a bare list, or objects as Qwen models write them.

    - Affordance: `[x1, y1, x2, y2]`, or one `{"bbox_2d": [...]}`, alone or in a list. A list of
      another length gives no pairs.
    - Trajectory: `[[x, y], ...]`, or `[{"point_2d": [x, y]}, ...]`.
    - Pointing: the same, or Gemini's `[{"point": [y, x]}, ...]`.
    """
    payload = payload.strip()
    try:
        value, end = _JSON.raw_decode(payload)
        if end != len(payload):
            return None
        if _PLAIN.fullmatch(payload) is None:
            value = _box_numbers(value) if task is Task.AFFORDANCE else _point_numbers(value, task)
        numbers = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, RecursionError):  # not JSON, ragged, or not of this form
        return None
    if task is Task.AFFORDANCE:
        if numbers.ndim != 1:
            return None
        return numbers.reshape(2, 2) if len(numbers) == 4 else _NO_PAIRS
    if numbers.ndim == 2 and numbers.shape[1] == 2:
        return numbers
    return None if numbers.size or numbers.ndim != 1 else _NO_PAIRS


def _box_numbers(value: Any) -> _List:
    items = cast("_List", value) if isinstance(value, list) else []
    wrapped = len(items) == 1 and isinstance(items[0], dict)
    return _floats(items[0] if wrapped else value, "bbox_2d")


def _point_numbers(value: Any, task: Task) -> list[_List]:
    if not isinstance(value, list):
        raise TypeError("points are a list")
    return [
        _floats(item, "point" if task is Task.POINTING and _is_gemini_point(item) else "point_2d")
        for item in cast("_List", value)
    ]


def _is_gemini_point(item: Any) -> bool:
    return isinstance(item, dict) and "point_2d" not in item


def _floats(value: Any, key: str) -> _List:
    """A list of numbers, bare or in an object. Booleans, null and strings are not numbers."""
    numbers: Any = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else value
    if not isinstance(numbers, list):
        raise TypeError("not a list")
    if not all(type(number) is float for number in cast("_List", numbers)):
        raise TypeError("not numbers")
    return cast("_List", numbers)


def _tolerant_value(
    payload: str, task: Task, frame: Frame, point_range: tuple[int, int]
) -> tuple[FloatArray | None, ParseStatus | frozenset[Guess]]:
    """The value with the guesses that it needed, or None with the reason."""
    found = _json_coordinates(payload, task)
    if found is None:
        search = find_coordinates(payload, task)
        found = search.coordinates
        if found is None and search.unsupported_format:
            return None, ParseStatus.UNSUPPORTED_FORMAT
        if (found is None or not found.points) and search.unsupported_number:
            return None, ParseStatus.UNSUPPORTED_NUMBER
        if found is None:
            return None, ParseStatus.NOT_COORDINATES
    status = _count_status(len(found.points), task, point_range)
    if status is not ParseStatus.OK:
        return None, status
    guesses = spelling_guesses(found.numbers)
    if guesses is None:
        return None, ParseStatus.UNSUPPORTED_NUMBER
    if frame.is_identity:
        guesses -= {Guess.PIXEL_UNIT}
    numbers = _in_frame_order(found, frame)
    if Guess.PERCENT in guesses:
        numbers = numbers / 100.0 * np.array(frame.limits)
    if not np.isfinite(numbers).all():
        return None, ParseStatus.NON_FINITE
    if found.size_second:
        with np.errstate(over="ignore"):  # an infinite sum is out of range
            numbers[1] += numbers[0]
    if frame.overshoot(numbers) > MAX_OVERSHOOT:
        return None, ParseStatus.OUT_OF_RANGE
    if task is Task.AFFORDANCE:
        if (np.abs(numbers[0] - numbers[1]) < _LEAST_SIDE).any():
            return None, ParseStatus.EMPTY_BOX
        if (numbers[0] > numbers[1]).any() and not found.any_corners:
            guesses |= {Guess.SWAPPED_CORNERS}
        numbers = np.sort(numbers, axis=0)
    return _to_pixels(numbers, task, frame), guesses | found.guesses


def _json_coordinates(payload: str, task: Task) -> Coordinates | None:
    """The numbers of a payload that the strict reading would read, in a code fence or not."""
    numbers = _json_numbers(without_fence(payload), task)
    if numbers is None or not len(numbers):
        return None
    return Coordinates([Point(first, second) for first, second in numbers.tolist()])


def _in_frame_order(found: Coordinates, frame: Frame) -> FloatArray:
    """The numbers `(N, 2)` in the axis order of the frame."""
    return np.array(
        [
            (point.second, point.first) if point.x_first and frame.y_first else point[:2]
            for point in found.points
        ],
        dtype=np.float64,
    )


def _count_status(count: int, task: Task, point_range: tuple[int, int]) -> ParseStatus:
    if task is Task.AFFORDANCE:
        point_range = (2, 2)
    elif task is Task.POINTING:
        point_range = POINTING_RANGE
    fewest, most = point_range
    return ParseStatus.OK if fewest <= count <= most else ParseStatus.WRONG_COUNT


def _to_pixels(numbers: FloatArray, task: Task, frame: Frame) -> FloatArray:
    pixels = numbers if frame.is_identity else frame.decode(numbers)
    value = pixels.reshape(4) if task is Task.AFFORDANCE else pixels
    value.setflags(write=False)
    return value
