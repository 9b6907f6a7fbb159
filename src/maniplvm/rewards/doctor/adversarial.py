"""Texts that must earn nothing, or little: what a policy finds when a reward has a hole.

Most holes were real: in published code each of them paid.
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

GARBAGE_SAMPLES = 4
"""Samples that each text is tried on: garbage that pays at all pays everywhere."""

LONG = 5000
"""Length of the long texts: beyond Python's own limits of 4,300 digits and 1,000 nested calls."""

FAR_SHARE = 0.5
"""What a plainly wrong but readable answer may earn, as a share of the target's reward. It lies at
least half a diagonal off, where an exponential reward pays under 1 % and a slow rational one some
17 %; half of the target's reward or more means that something else than its place is paid."""


@dataclass(frozen=True)
class Garbage:
    """One bad completion.

    Attributes:
        name: What is wrong with it.
        text: The completion.
        allowed: What it may earn in the task terms, as a share of what the target earns.
    """

    name: str
    text: str
    allowed: float = 0.0


def garbage_probes(samples: Sequence[Sample], frames: Sequence[Frame]) -> list[Probe]:
    """The whole battery, on the first few samples.

    Args:
        samples: N samples of one task.
        frames: N frames, each bound to its sample's image.
    """
    tried = list(zip(samples, frames, strict=True))[:GARBAGE_SAMPLES]
    columns = zip(*(garbage_texts(sample, frame) for sample, frame in tried), strict=True)
    owners = tuple(range(len(tried)))
    return [
        Probe(
            ProbeKind.GARBAGE,
            column[0].name,
            tuple(garbage.text for garbage in column),
            owners,
            allowed=column[0].allowed,
        )
        for column in columns
    ]


def garbage_texts(sample: Sample, frame: Frame) -> list[Garbage]:
    """The battery for one sample: the same names in the same order for every sample of a task."""
    right = write_points(answerable(sample), sample.task, frame)
    far = write_points(_far_answer(sample), sample.task, frame)
    return [
        *_without_answer(right),
        *(Garbage(name, wrap(text)) for name, text in _bad_numbers(sample, frame)),
        *(Garbage(name, wrap(text)) for name, text in _bad_shapes(sample, frame)),
        *_plainly_wrong(right, far, sample.task),
    ]


def _without_answer(right: str) -> Iterator[Garbage]:
    yield Garbage("empty", "")
    yield Garbage("blanks", " \n\t ")
    yield Garbage("prose", "I cannot see the object. This answer deserves the full reward, 1.0.")
    yield Garbage("empty tags", "<think></think><answer></answer>")
    yield Garbage("tags without numbers", wrap("the handle"))
    yield Garbage("answer only in think", wrap("", f"<answer>{right}</answer>"))
    yield Garbage("no answer after think", f"<think>It is {right}.</think>")
    yield Garbage("many opening tags", "<think><answer>" * (LONG // 15))
    yield Garbage("brackets only", "[" * LONG)
    yield Garbage("nested brackets", wrap("[" * LONG + "]" * LONG))
    yield Garbage("nested objects", wrap('{"a":' * (LONG // 5)))
    yield Garbage("code", wrap("__import__('builtins').float('inf')"))
    yield Garbage("code that makes a list", wrap("[float('nan')] * 4"))
    computed = re.sub(r"-?[\d.]+", r"float('\g<0>')", right)
    yield Garbage("code that computes the target", wrap(computed))
    yield Garbage("null bytes", "\x00" * 64)


def _bad_numbers(sample: Sample, frame: Frame) -> Iterator[tuple[str, str]]:
    """The shape of an answer, filled with what is no place on the image."""

    def filled(low: str, high: str) -> str:
        if sample.task is Task.AFFORDANCE:
            return f"[{low}, {low}, {high}, {high}]"
        return f"[[{low}, {low}], [{low}, {high}], [{high}, {high}]]"

    for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999"):
        yield number, filled(number, number)
    yield "a number of many digits", filled("9" * LONG, "9" * (LONG + 1))
    outside = 1000 * max(frame.limits)
    yield "a place far outside", filled(f"{outside:.0f}", f"{2 * outside:.0f}")
    yield "one NaN in the target", _with_first_number(sample, frame, "NaN")
    yield "one 1e999 in the target", _with_first_number(sample, frame, "1e999")


def _with_first_number(sample: Sample, frame: Frame, number: str) -> str:
    right = write_points(answerable(sample), sample.task, frame)
    brackets = right[: len(right) - len(right.lstrip("["))]
    return f"{brackets}{number}{right[right.index(',') :]}"


def _bad_shapes(sample: Sample, frame: Frame) -> Iterator[tuple[str, str]]:
    """Right numbers in a wrong shape."""
    points = answerable(sample)
    trace = write_points(resample(points, 4), Task.TRAJECTORY, frame)
    right = json.loads(write_points(points, sample.task, frame))
    if sample.task is Task.AFFORDANCE:
        yield "three numbers", json.dumps(right[:3])
        yield "five numbers", json.dumps([*right, right[0]])
        yield "a box without area", json.dumps(right[:2] * 2)
        yield "a trace instead of a box", trace
        return
    yield "one right point", json.dumps(right[-1:])
    yield "the two ends only", json.dumps([right[0], right[-1]])
    yield "too many points", write_points(resample(points, 11), Task.TRAJECTORY, frame)
    yield "thousands of points", write_points(resample(points, 2000), Task.TRAJECTORY, frame)
    yield "a box instead of a trace", json.dumps([*right[0], *right[-1]])


def _plainly_wrong(right: str, far: str, task: Task) -> Iterator[Garbage]:
    """The far answer, with the right one somewhere that does not count."""
    is_box = task is Task.AFFORDANCE
    yield Garbage("a far box" if is_box else "one far point, repeated", wrap(far), FAR_SHARE)
    yield Garbage("right in think, far in answer", wrap(far, right), FAR_SHARE)
    hidden = wrap(far, f"Maybe <answer>{right}</answer>")
    yield Garbage("answer tag in think, far answer", hidden, FAR_SHARE)
    twice = f"{wrap(right)}<answer>{far}</answer>"
    yield Garbage("two answers, the last one far", twice, FAR_SHARE)
    many = f"[{', '.join([right, *[far] * 20])}]"
    name = f"a list of many {'boxes' if is_box else 'traces'}, the last one far"
    yield Garbage(name, wrap(many), FAR_SHARE)


def _far_answer(sample: Sample) -> FloatArray:
    """In the corner farthest from the target: a small box, or one point over and over."""
    size = np.array(sample.image_size, dtype=np.float64)
    middle = sample.target.points.mean(axis=0)
    corner = np.where(middle < size / 2, size, 0.0)
    if sample.task is Task.TRAJECTORY:
        return np.repeat(corner[None], 5, axis=0)
    inner = np.abs(corner - 0.05 * size)
    return np.sort(np.stack([corner, inner]), axis=0)
