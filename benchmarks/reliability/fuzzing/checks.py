"""What must hold for every text, whatever it says."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.reliability.fuzzing.answers import SIZES, WrittenAnswer

from maniplvm.geometry.frames import Frame
from maniplvm.rewards import PRESETS, Preset, Score, score_batch
from maniplvm.tasks import (
    Answer,
    BoxTarget,
    ParseStatus,
    RegionTarget,
    Sample,
    Task,
    TraceTarget,
    parse_answer,
)
from maniplvm.tasks.parsing.reading import MAX_OVERSHOOT, POINT_RANGE, POINTING_RANGE

TIME_LIMIT = 0.25
"""Maximum processor time of one reading of a text [s]. The normal time is under 0.001 s."""

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """A text with the frame and the tasks in which it is read.

    Attributes:
        text: The completion.
        frame: The frame, bound to an image.
        tasks: The tasks: both main tasks, and pointing for an answer of this task.
        written: The right reading, if the text was not mutated.
    """

    text: str
    frame: Frame
    tasks: tuple[Task, ...]
    written: WrittenAnswer | None


def _samples(size: tuple[int, int]) -> dict[Task, Sample]:
    width, height = size
    box = BoxTarget([0.2 * width, 0.3 * height, 0.5 * width, 0.6 * height])
    trace = TraceTarget([[0.1 * width, 0.2 * height], [0.4 * width, 0.5 * height]])
    targets = {
        Task.AFFORDANCE: box,
        Task.TRAJECTORY: trace,
        Task.POINTING: RegionTarget.of_boxes([box.xyxy.tolist()]),
    }
    return {task: Sample("s", task, "-", size, target) for task, target in targets.items()}


_SAMPLES = {size: _samples(size) for size in SIZES}


def check_cases(cases: Sequence[Case], preset_name: str) -> Iterator[tuple[bool, str | None]]:
    """Check texts, and score them in one batch.

    Yields:
        For each case: whether one of its readings gave a value, and what went wrong or None.
    """
    preset = PRESETS[preset_name]
    answers = [_read(case) for case in cases]
    flat = [
        (case, task)
        for case, timed in zip(cases, answers, strict=True)
        for task in case.tasks
        if not isinstance(timed, str)
    ]
    scores = iter(
        score_batch(
            [case.text for case, _ in flat],
            [_SAMPLES[case.frame.view.original][task] for case, task in flat],
            preset,
            [case.frame for case, _ in flat],
        )
    )
    for case, timed in zip(cases, answers, strict=True):
        if isinstance(timed, str):
            yield False, timed
            continue
        failures = [
            _failure(case, answer, seconds, next(scores), preset) for answer, seconds in timed
        ]
        yield (
            any(answer.parsed for answer, _ in timed),
            next((failure for failure in failures if failure is not None), None),
        )


def _read(case: Case) -> list[tuple[Answer, float]] | str:
    """The answer of each task with its processor time, or the exception of the parser."""
    try:
        return [_timed(case, task) for task in case.tasks]
    except Exception:
        return traceback.format_exc(limit=-3)


def _timed(case: Case, task: Task) -> tuple[Answer, float]:
    start = time.thread_time()
    answer = parse_answer(case.text, task, case.frame)
    return answer, time.thread_time() - start


def _failure(
    case: Case, answer: Answer, seconds: float, score: Score, preset: Preset
) -> str | None:
    found = (
        (f"took {seconds:.2f} s" if seconds > TIME_LIMIT else None)
        or _wrong_answer(answer, case.frame)
        or _wrong_score(score, answer, preset)
        or _wrong_tolerant_reading(case, answer)
        or _wrong_value(case.written, answer)
    )
    return None if found is None else f"{answer.task}: {found}"


def _wrong_answer(answer: Answer, frame: Frame) -> str | None:
    """Contradictions between value, statuses and guesses, and values outside their range."""
    guessed = answer.status is ParseStatus.GUESSED
    if answer.parsed != (answer.status is ParseStatus.OK or guessed):
        return f"status {answer.status} with value {answer.value}"
    if bool(answer.guesses) != guessed:
        return f"status {answer.status} with guesses {answer.guesses}"
    if answer.well_formed and answer.status is not ParseStatus.OK:
        return f"well formed with status {answer.status}"
    value = answer.value
    if value is None:
        return None
    if value.dtype != np.float64 or value.flags.writeable or not np.isfinite(value).all():
        return f"not a constant array of finite numbers: {value!r}"
    if answer.task is Task.AFFORDANCE:
        if value.shape != (4,) or not (value[:2] < value[2:]).all():
            return f"not a box: {value}"
    else:
        fewest, most = POINT_RANGE if answer.task is Task.TRAJECTORY else POINTING_RANGE
        if value.ndim != 2 or value.shape[1] != 2 or not fewest <= len(value) <= most:
            return f"wrong shape {value.shape}"
    overshoot = frame.overshoot(frame.encode(value.reshape(-1, 2), rounded=False))
    if overshoot > (0.0 if answer.well_formed else MAX_OVERSHOOT) + _TOLERANCE:
        return f"{overshoot} ranges outside of the image: {value}"
    return None


def _wrong_score(score: Score, answer: Answer, preset: Preset) -> str | None:
    again = score.answer
    if (again.status, again.format_status, again.guesses) != (
        answer.status,
        answer.format_status,
        answer.guesses,
    ) or not _same(again, answer):
        return f"a second reading differs: {answer} and {again}"
    if not (math.isfinite(score.total) and all(map(math.isfinite, score.terms.values()))):
        return f"score {score.total} of {score.terms}"
    if not -_TOLERANCE <= score.total <= preset.max_reward(answer.task) + _TOLERANCE:
        return f"score {score.total} outside of 0..{preset.max_reward(answer.task)}"
    if (score.terms["format"] > 0) != answer.well_formed:
        return f"format reward {score.terms['format']} with {answer.format_status}"
    return None


def _wrong_tolerant_reading(case: Case, answer: Answer) -> str | None:
    """The tolerant reading of a well-formed completion must give the same value, without a guess."""
    if not answer.well_formed:
        return None
    tolerant = parse_answer(case.text + "\n.", answer.task, case.frame)
    if tolerant.well_formed or tolerant.status is not ParseStatus.OK or not _same(tolerant, answer):
        return f"the tolerant reading of a strict answer is {tolerant}"
    return None


def _wrong_value(written: WrittenAnswer | None, answer: Answer) -> str | None:
    if written is None or written.format.task is not answer.task:
        return None
    guesses = frozenset(answer.guesses)
    if answer.value is None or guesses != written.format.guesses:
        return f"{written.format.name}: read as {answer}, expected {written.value}"
    if answer.value.shape != written.value.shape or not np.allclose(
        answer.value, written.value, rtol=0, atol=1e-9
    ):
        return f"{written.format.name}: read as {answer.value}, expected {written.value}"
    if answer.well_formed != written.well_formed:
        return f"{written.format.name}: format status {answer.format_status}"
    return None


def _same(first: Answer, second: Answer) -> bool:
    if first.value is None or second.value is None:
        return first.value is second.value
    return np.array_equal(first.value, second.value)
