"""Random answers with a known value, written in one of the formats and put into a completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from benchmarks.reliability.fuzzing.formats import FORMATS, AnswerFormat, Pair

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import FRAMES, Frame
from maniplvm.tasks import Task

SIZES = ((640, 480), (1000, 1000), (512, 288), (224, 224), (1920, 1080))
"""Sizes of the images [px]."""

_REASONING = (
    "",
    "The handle is on the left.",
    "First [1, 2, 3, 4], then (5, 6). No.",
    '{"bbox_2d": [0, 0, 9, 9]} looks wrong',
    "I move\nin 3 steps: 1. (1, 2) 2. (3, 4) 3. (5, 6)",
)
_CLOSED = (
    "<think>{reasoning}</think><answer>{answer}</answer>",
    "<think>{reasoning}</think>\n<answer>\n{answer}\n</answer>\n",
)
_OTHER = (
    "{answer}",
    "<answer>{answer}</answer>",
    "<think>{reasoning}</think>{answer}",
    "<think>{reasoning}<answer>{answer}</answer>",
    "{reasoning}</think><answer>{answer}",
    "<thinking>{reasoning}</thinking>{answer}",
    "◁think▷{reasoning}◁/think▷{answer}",
    "<think>{reasoning}</think><answer>{answer}</answer><think>{reasoning}</think>",
)


@dataclass(frozen=True)
class WrittenAnswer:
    """A completion whose right reading is known.

    Attributes:
        text: The completion.
        format: The format of the answer.
        frame: The frame of its numbers, bound to an image.
        value: The right value [px], shape `(4,)` or `(N, 2)`.
        well_formed: Whether the strict reading must accept it.
    """

    text: str
    format: AnswerFormat
    frame: Frame
    value: FloatArray
    well_formed: bool


def write_answer(random: Random) -> WrittenAnswer:
    """Choose a value, a frame, a format and a form of the completion, and write them."""
    chosen = random.choice(FORMATS)
    frame = FRAMES[random.choice(chosen.frames)].bind(random.choice(SIZES))
    written = _numbers(chosen.task, frame, random)
    swapped = chosen.names_axes and frame.y_first
    ordered = [(b, a) for a, b in written] if swapped else written
    answer = chosen.write(ordered, random)
    closed = random.random() < 0.5
    template = random.choice(_CLOSED if closed else _OTHER)
    text = template.replace("{reasoning}", random.choice(_REASONING)).replace("{answer}", answer)
    value = frame.decode(np.array(written, dtype=np.float64))
    return WrittenAnswer(
        text,
        chosen,
        frame,
        value.reshape(4) if chosen.task is Task.AFFORDANCE else value,
        closed and chosen.strict,
    )


def _numbers(task: Task, frame: Frame, random: Random) -> Sequence[Pair]:
    """Valid numbers as a model of this frame writes them, in the order of the frame."""
    if task is Task.AFFORDANCE:
        first, second = (_range(limit, frame.step, random) for limit in frame.limits)
        return [(first[0], second[0]), (first[1], second[1])]
    count = random.randint(3, 10) if task is Task.TRAJECTORY else 1
    return [
        (_number(frame.limits[0], frame.step, random), _number(frame.limits[1], frame.step, random))
        for _ in range(count)
    ]


def _range(limit: float, step: float, random: Random) -> tuple[str, str]:
    steps = int(limit / step)
    low = random.randrange(steps)
    return _text(low, step), _text(random.randint(low + 1, steps), step)


def _number(limit: float, step: float, random: Random) -> str:
    return _text(random.randint(0, int(limit / step)), step)


def _text(steps: int, step: float) -> str:
    """A number with as many decimals as the step of its frame."""
    return str(steps) if step == 1 else f"{steps * step:.{1 if step == 0.1 else 3}f}"
