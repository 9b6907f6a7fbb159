"""The probes of the reward doctor: answers of known quality.

Each answer is written in the model's coordinate frame, with its rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from maniplvm.geometry import resample
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame
from maniplvm.tasks.prompts import answerable_trace, write_answer
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

LEVELS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Sizes of the errors [% of the image diagonal], from one or two pixels to a clear miss."""

REPEATS = 4
"""Random draws for each sample: of directions, of noise and of other samples."""

DIRECTIONS = 64
"""Number of directions to try until a moved answer lies inside the image."""

MEAN_TRACE_POINTS = 8
"""Number of points of the mean trace, at equal arc length."""

MIN_FOR_DATA_CONSTANTS = 16
"""Minimum number of samples for the mean target and the best single target.

With fewer samples, these constants are correct answers for most of them."""

CANDIDATES = 16
"""Number of targets that are tried as the answer to every sample."""

CANDIDATE_SAMPLES = 64
"""Number of samples for each of these targets."""

BEST_SINGLE_TARGET = "best single target"
"""Name of the probes that give one target as the answer to every sample.

Only the best of them is reported. A policy that ignores its input can learn it."""


class ProbeKind(StrEnum):
    """The kinds of answers in a probe."""

    TARGET = "target"
    OFFSET = "offset"
    NOISE = "noise"
    OTHER = "other"
    CONSTANT = "constant"
    ADVERSARIAL = "adversarial"


@dataclass(frozen=True, eq=False)
class Probe:
    """Completions of one kind for some of the samples.

    Attributes:
        kind: The kind of the completions.
        name: The name in tables and messages.
        texts: K completions.
        sample_indices: The index of the sample of each completion (K). A sample may have several
            completions.
        level: The size of the error [% of the image diagonal]; None unless `offset` or `noise`.
        max_share: The maximum reward of an adversarial answer, as a share of the target's reward.
    """

    kind: ProbeKind
    name: str
    texts: tuple[str, ...]
    sample_indices: tuple[int, ...]
    level: float | None = None
    max_share: float = 0.0


def write_points(points: FloatArray, task: Task, frame: Frame) -> str:
    """Write points as JSON in a coordinate frame, with its rounding and its axis order.

    Args:
        points: `(2, 2)` ordered corners or `(N, 2)` waypoints [px of the original image].
        task: `affordance` writes a flat list, `trajectory` a list of points.
        frame: The frame, bound to the image.
    """
    box = task is Task.AFFORDANCE
    return write_answer(BoxTarget(points.reshape(4)) if box else TraceTarget(points), frame)


def wrap(payload: str, reasoning: str = "The part to reach is in view.") -> str:
    """A completion in the required format around any payload."""
    return f"<think>{reasoning}</think><answer>{payload}</answer>"


def answerable(sample: Sample) -> FloatArray:
    """The target as a valid answer, `(N, 2)` [px]: a trace is resampled if it has too many points."""
    target = sample.target
    return (answerable_trace(target) if isinstance(target, TraceTarget) else target).points


def answer_probes(
    samples: Sequence[Sample], frames: Sequence[Frame], rng: np.random.Generator
) -> Iterator[Probe]:
    """Answers that can be parsed, from the target itself to answers that ignore the sample.

    Args:
        samples: N samples of one task.
        frames: N frames, each bound to its sample's image.
        rng: The generator for directions, noise and other samples.
    """
    writer = _Writer(samples, frames)
    targets = [answerable(sample) for sample in samples]
    yield writer.probe(ProbeKind.TARGET, "target", targets, range(len(samples)))
    yield from _offsets(writer, targets, rng)
    yield from _noises(writer, targets, rng)
    if len(samples) > 1:
        yield _other_targets(writer, targets, rng)
    yield from _constants(writer, targets, rng)


class _Writer:
    """Writes answers in the frames of their samples."""

    def __init__(self, samples: Sequence[Sample], frames: Sequence[Frame]) -> None:
        self.samples = samples
        self.frames = frames
        self.task = samples[0].task
        self.sizes = np.array([sample.image_size for sample in samples], dtype=np.float64)
        self.diagonals = np.hypot(self.sizes[:, 0], self.sizes[:, 1])

    def probe(
        self,
        kind: ProbeKind,
        name: str,
        answers: Sequence[FloatArray],
        sample_indices: Sequence[int],
        level: float | None = None,
    ) -> Probe:
        texts = tuple(
            wrap(write_points(points, self.task, self.frames[index]))
            for points, index in zip(answers, sample_indices, strict=True)
        )
        return Probe(kind, name, texts, tuple(sample_indices), level)


def _offsets(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """The whole target moved by a fixed distance inside the image.

    If it would leave the image, the nearest direction inside the image is used. A sample without
    such a direction is left out at that level.
    """
    low = np.stack([points.min(axis=0) for points in targets])
    high = np.stack([points.max(axis=0) for points in targets])
    min_shift, max_shift = np.minimum(-low, 0.0), np.maximum(writer.sizes - high, 0.0)
    angles = rng.uniform(0.0, 2.0 * np.pi, (len(targets), REPEATS))
    steps = np.array(sorted(range(-DIRECTIONS // 2, DIRECTIONS // 2), key=abs))
    turned = angles[:, :, None] + 2.0 * np.pi * steps / DIRECTIONS
    directions = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    for level in LEVELS:
        moves = directions * (writer.diagonals * level / 100.0)[:, None, None, None]
        fits = (moves >= min_shift[:, None, None]) & (moves <= max_shift[:, None, None])
        inside = fits.all(axis=-1)
        chosen = inside.argmax(axis=-1)
        sample_indices, draws = np.nonzero(inside.any(axis=-1))
        rows: list[tuple[int, int]] = list(
            zip(sample_indices.tolist(), draws.tolist(), strict=True)
        )
        answers: list[FloatArray] = [
            targets[index] + moves[index, draw, chosen[index, draw]] for index, draw in rows
        ]
        if rows:
            yield writer.probe(
                ProbeKind.OFFSET, f"offset {level:g} %", answers, [row[0] for row in rows], level
            )


def _noises(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """Every point moved by normal noise with the level as root mean square, clipped to the image.

    The random draws are the same at all levels.
    """
    sample_indices = [index for index in range(len(targets)) for _ in range(REPEATS)]
    draws = [rng.standard_normal(targets[index].shape) / np.sqrt(2.0) for index in sample_indices]
    for level in LEVELS:
        answers = list[FloatArray]()
        for index, draw in zip(sample_indices, draws, strict=True):
            moved = targets[index] + draw * writer.diagonals[index] * level / 100.0
            moved = np.clip(moved, 0.0, writer.sizes[index])
            if writer.task is Task.AFFORDANCE:
                moved = _with_area(moved)
            answers.append(moved)
        yield writer.probe(ProbeKind.NOISE, f"noise {level:g} %", answers, sample_indices, level)


def _with_area(corners: FloatArray) -> FloatArray:
    low, high = np.sort(corners, axis=0)
    return np.stack([low, np.maximum(high, low + 1e-3)])


def _other_targets(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Probe:
    """Targets of other samples, in fractions of the image sides."""
    count = len(targets)
    sample_indices = [index for index in range(count) for _ in range(REPEATS)]
    others = [(index + 1 + int(rng.random() * (count - 1))) % count for index in sample_indices]
    answers = [
        targets[other] / writer.sizes[other] * writer.sizes[index]
        for index, other in zip(sample_indices, others, strict=True)
    ]
    return writer.probe(ProbeKind.OTHER, "another sample's target", answers, sample_indices)


def _constants(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """Answers that ignore the sample, in fractions of the image sides."""
    units = [points / size for points, size in zip(targets, writer.sizes, strict=True)]
    every_index = list(range(len(targets)))
    fixed = (
        {"centre box": [[1 / 3, 1 / 3], [2 / 3, 2 / 3]], "whole image": [[0, 0], [1, 1]]}
        if writer.task is Task.AFFORDANCE
        else {"centre point": [[0.5, 0.5]] * 3, "corner to corner": [[0, 0], [0.5, 0.5], [1, 1]]}
    )
    answers = {name: np.array(points, dtype=np.float64) for name, points in fixed.items()}
    has_enough = len(targets) >= MIN_FOR_DATA_CONSTANTS
    if has_enough and writer.task is Task.AFFORDANCE:
        answers["mean box"] = np.mean(units, axis=0)
    elif has_enough:
        answers["mean trace"] = resample(units, MEAN_TRACE_POINTS).mean(axis=0)
    for name, points in answers.items():
        scaled = [points * writer.sizes[index] for index in every_index]
        yield writer.probe(ProbeKind.CONSTANT, name, scaled, every_index)
    if has_enough:
        chosen = rng.permutation(len(targets))
        for candidate in chosen[:CANDIDATES].tolist():
            sample_indices = [
                index for index in chosen[:CANDIDATE_SAMPLES].tolist() if index != candidate
            ]
            scaled = [units[candidate] * writer.sizes[index] for index in sample_indices]
            yield writer.probe(ProbeKind.CONSTANT, BEST_SINGLE_TARGET, scaled, sample_indices)
