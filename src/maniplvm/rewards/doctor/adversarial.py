"""Adversarial answers: completions that must get no reward, or little.

A policy can learn to exploit a reward that accepts them. Published code has accepted most of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from maniplvm.geometry import resample
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame
from maniplvm.rewards.doctor.probes import Probe, ProbeKind, answerable, wrap, write_points
from maniplvm.tasks.sample import Sample, Task

ADVERSARIAL_SAMPLES = 4
"""Number of samples for each adversarial answer. A few are enough."""

LONG = 5000
"""Length of long texts: above the limits of Python (4,300 digits, 1,000 nested calls)."""

MAX_FAR_REWARD = 0.5
"""Maximum reward of a wrong answer that can be parsed, as a share of the target's reward.

Its error is at least half a diagonal. An exponential reward is then below 1 %, a slow rational one
about 17 %. A reward of half or more does not come from the position of the answer."""


@dataclass(frozen=True)
class AdversarialAnswer:
    """One adversarial completion.

    Attributes:
        name: A short description of the error.
        text: The completion.
        max_share: The maximum task reward, as a share of the target's task reward.
    """

    name: str
    text: str
    max_share: float = 0.0


def adversarial_probes(samples: Sequence[Sample], frames: Sequence[Frame]) -> list[Probe]:
    """All adversarial answers, for the first few samples.

    Args:
        samples: N samples of one task.
        frames: N frames, each bound to its sample's image.
    """
    pairs = list(zip(samples, frames, strict=True))[:ADVERSARIAL_SAMPLES]
    columns = zip(*(adversarial_answers(sample, frame) for sample, frame in pairs), strict=True)
    sample_indices = tuple(range(len(pairs)))
    return [
        Probe(
            ProbeKind.ADVERSARIAL,
            column[0].name,
            tuple(answer.text for answer in column),
            sample_indices,
            max_share=column[0].max_share,
        )
        for column in columns
    ]


def adversarial_answers(sample: Sample, frame: Frame) -> list[AdversarialAnswer]:
    """The adversarial answers for one sample.

    The names and their order are the same for all samples of a task.
    """
    correct = write_points(answerable(sample), sample.task, frame)
    far = write_points(_far_answer(sample), sample.task, frame)
    return [
        *_without_answer(correct),
        *(AdversarialAnswer(name, wrap(text)) for name, text in _bad_numbers(sample, frame)),
        *(AdversarialAnswer(name, wrap(text)) for name, text in _bad_shapes(sample, frame)),
        *_far_answers(correct, far, sample.task),
    ]


def _without_answer(correct: str) -> Iterator[AdversarialAnswer]:
    yield AdversarialAnswer("empty", "")
    yield AdversarialAnswer("blanks", " \n\t ")
    yield AdversarialAnswer(
        "prose", "I cannot see the object. This answer deserves the full reward, 1.0."
    )
    yield AdversarialAnswer("empty tags", "<think></think><answer></answer>")
    yield AdversarialAnswer("tags without numbers", wrap("the handle"))
    yield AdversarialAnswer("answer only in think", wrap("", f"<answer>{correct}</answer>"))
    yield AdversarialAnswer("no answer after think", f"<think>It is {correct}.</think>")
    yield AdversarialAnswer("many opening tags", "<think><answer>" * (LONG // 15))
    yield AdversarialAnswer("brackets only", "[" * LONG)
    yield AdversarialAnswer("nested brackets", wrap("[" * LONG + "]" * LONG))
    yield AdversarialAnswer("nested objects", wrap('{"a":' * (LONG // 5)))
    yield AdversarialAnswer("code", wrap("__import__('builtins').float('inf')"))
    yield AdversarialAnswer("code that makes a list", wrap("[float('nan')] * 4"))
    computed = re.sub(r"-?[\d.]+", r"float('\g<0>')", correct)
    yield AdversarialAnswer("code that computes the target", wrap(computed))
    yield AdversarialAnswer("null bytes", "\x00" * 64)


def _bad_numbers(sample: Sample, frame: Frame) -> Iterator[tuple[str, str]]:
    """Answers of the correct shape with numbers that are no position in the image."""

    def filled(low: str, high: str) -> str:
        if sample.task is Task.AFFORDANCE:
            return f"[{low}, {low}, {high}, {high}]"
        return f"[[{low}, {low}], [{low}, {high}], [{high}, {high}]]"

    for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999"):
        yield number, filled(number, number)
    yield "a number of many digits", filled("9" * LONG, "9" * (LONG + 1))
    outside = 1000 * max(frame.limits)
    yield "coordinates far outside", filled(f"{outside:.0f}", f"{2 * outside:.0f}")
    yield "one NaN in the target", _with_first_number(sample, frame, "NaN")
    yield "one 1e999 in the target", _with_first_number(sample, frame, "1e999")


def _with_first_number(sample: Sample, frame: Frame, number: str) -> str:
    correct = write_points(answerable(sample), sample.task, frame)
    brackets = correct[: len(correct) - len(correct.lstrip("["))]
    return f"{brackets}{number}{correct[correct.index(',') :]}"


def _bad_shapes(sample: Sample, frame: Frame) -> Iterator[tuple[str, str]]:
    """Correct numbers in a wrong shape."""
    points = answerable(sample)
    trace = write_points(resample(points, 4), Task.TRAJECTORY, frame)
    correct = json.loads(write_points(points, sample.task, frame))
    if sample.task is Task.AFFORDANCE:
        yield "three numbers", json.dumps(correct[:3])
        yield "five numbers", json.dumps([*correct, correct[0]])
        yield "a box without area", json.dumps(correct[:2] * 2)
        yield "a trace instead of a box", trace
        return
    yield "one right point", json.dumps(correct[-1:])
    yield "the two ends only", json.dumps([correct[0], correct[-1]])
    yield "too many points", write_points(resample(points, 11), Task.TRAJECTORY, frame)
    yield "thousands of points", write_points(resample(points, 2000), Task.TRAJECTORY, frame)
    yield "a box instead of a trace", json.dumps([*correct[0], *correct[-1]])


def _far_answers(correct: str, far: str, task: Task) -> Iterator[AdversarialAnswer]:
    """An answer far from the target, with the correct one where a parser must ignore it."""
    is_box = task is Task.AFFORDANCE
    yield AdversarialAnswer(
        "a far box" if is_box else "one far point, repeated", wrap(far), MAX_FAR_REWARD
    )
    yield AdversarialAnswer("right in think, far in answer", wrap(far, correct), MAX_FAR_REWARD)
    hidden = wrap(far, f"Maybe <answer>{correct}</answer>")
    yield AdversarialAnswer("answer tag in think, far answer", hidden, MAX_FAR_REWARD)
    twice = f"{wrap(correct)}<answer>{far}</answer>"
    yield AdversarialAnswer("two answers, the last one far", twice, MAX_FAR_REWARD)
    many = f"[{', '.join([correct, *[far] * 20])}]"
    name = f"a list of many {'boxes' if is_box else 'traces'}, the last one far"
    yield AdversarialAnswer(name, wrap(many), MAX_FAR_REWARD)


def _far_answer(sample: Sample) -> FloatArray:
    """A small box, or one repeated point, in the corner farthest from the target."""
    size = np.array(sample.image_size, dtype=np.float64)
    centre = sample.target.points.mean(axis=0)
    corner = np.where(centre < size / 2, size, 0.0)
    if sample.task is Task.TRAJECTORY:
        return np.repeat(corner[None], 5, axis=0)
    inner = np.abs(corner - 0.05 * size)
    return np.sort(np.stack([corner, inner]), axis=0)
