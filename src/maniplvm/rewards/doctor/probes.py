"""What the reward doctor asks a reward to score: answers whose quality is known beforehand.

Every answer is written as a model would write it, through the frame, so that rounding counts.
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
"""How far answers are moved [% of the image's diagonal]: from a pixel or two to a plain miss."""

REPEATS = 4
"""Directions, noises and strangers drawn for each sample: enough to see past one lucky draw."""

TURNS = 64
"""Directions that are tried until a moved answer lies inside the image."""

MEAN_TRACE_POINTS = 8
"""Points at equal arc length of the data set's mean trace."""

MIN_FOR_DATA_CONSTANTS = 16
"""Fewer samples make a mean, or the best of the targets, the answer to most of them."""

CANDIDATES = 16
"""Targets that are tried as the one answer to everything."""

CANDIDATE_SAMPLES = 64
"""Samples on which each of these is tried."""

ONE_FOR_ALL = "one target for all"
"""Name of the probes of which only the best counts: what a policy that ignores its input finds."""


class ProbeKind(StrEnum):
    """What is known about the answers of a probe."""

    TARGET = "target"
    OFFSET = "offset"
    NOISE = "noise"
    OTHER = "other"
    CONSTANT = "constant"
    GARBAGE = "garbage"


@dataclass(frozen=True, eq=False)
class Probe:
    """Completions of one kind, each for one of the samples.

    Attributes:
        kind: What is known about them.
        name: For tables and findings.
        texts: K completions.
        owners: K indices of the samples that they answer; a sample may have several.
        level: Size of the error [% of the image's diagonal], of `offset` and `noise`.
        allowed: What garbage may earn, as a share of what the target earns.
    """

    kind: ProbeKind
    name: str
    texts: tuple[str, ...]
    owners: tuple[int, ...]
    level: float | None = None
    allowed: float = 0.0


def write_points(points: FloatArray, task: Task, frame: Frame) -> str:
    """Coordinates as a model of this frame writes them: rounded, in its order, as JSON.

    Args:
        points: `(2, 2)` ordered corners or `(N, 2)` waypoints [px of the original image].
        task: `affordance` writes a flat list, `trajectory` a list of points.
        frame: The frame, bound to the image.
    """
    box = task is Task.AFFORDANCE
    return write_answer(BoxTarget(points.reshape(4)) if box else TraceTarget(points), frame)


def wrap(payload: str, reasoning: str = "The part to reach is in view.") -> str:
    """A completion of the form asked for around any payload, good or bad."""
    return f"<think>{reasoning}</think><answer>{payload}</answer>"


def answerable(sample: Sample) -> FloatArray:
    """The target as an answer can give it, `(N, 2)` [px]: a trace gets a valid number of points."""
    target = sample.target
    return (answerable_trace(target) if isinstance(target, TraceTarget) else target).points


def answer_probes(
    samples: Sequence[Sample], frames: Sequence[Frame], rng: np.random.Generator
) -> Iterator[Probe]:
    """Readable answers, from the target itself to answers that ignore the sample.

    Args:
        samples: N samples of one task.
        frames: N frames, each bound to its sample's image.
        rng: Draws the directions, the noise and the strangers.
    """
    writer = _Writer(samples, frames)
    targets = [answerable(sample) for sample in samples]
    yield writer.probe(ProbeKind.TARGET, "target", targets, range(len(samples)))
    yield from _offsets(writer, targets, rng)
    yield from _noises(writer, targets, rng)
    if len(samples) > 1:
        yield _strangers(writer, targets, rng)
    yield from _constants(writer, targets, rng)


class _Writer:
    """Writes points for the samples that own them."""

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
        owners: Sequence[int],
        level: float | None = None,
    ) -> Probe:
        texts = tuple(
            wrap(write_points(points, self.task, self.frames[owner]))
            for points, owner in zip(answers, owners, strict=True)
        )
        return Probe(kind, name, texts, tuple(owners), level)


def _offsets(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """The target moved as a whole, kept inside the image.

    Where it would leave it, it goes another way, the one nearest to its own; a sample without
    any way is left out at that level.
    """
    low = np.stack([points.min(axis=0) for points in targets])
    high = np.stack([points.max(axis=0) for points in targets])
    shifts_back, shifts_on = np.minimum(-low, 0.0), np.maximum(writer.sizes - high, 0.0)
    angles = rng.uniform(0.0, 2.0 * np.pi, (len(targets), REPEATS))
    steps = np.array(sorted(range(-TURNS // 2, TURNS // 2), key=abs))
    turned = angles[:, :, None] + 2.0 * np.pi * steps / TURNS
    directions = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    for level in LEVELS:
        moves = directions * (writer.diagonals * level / 100.0)[:, None, None, None]
        fits = (moves >= shifts_back[:, None, None]) & (moves <= shifts_on[:, None, None])
        inside = fits.all(axis=-1)
        way = inside.argmax(axis=-1)
        owners, draws = np.nonzero(inside.any(axis=-1))
        rows: list[tuple[int, int]] = list(zip(owners.tolist(), draws.tolist(), strict=True))
        answers: list[FloatArray] = [
            targets[owner] + moves[owner, draw, way[owner, draw]] for owner, draw in rows
        ]
        if rows:
            yield writer.probe(
                ProbeKind.OFFSET, f"offset {level:g} %", answers, [row[0] for row in rows], level
            )


def _noises(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """Every point moved on its own by a normal draw whose root mean square is the level.

    It is then clipped to the image. The draws are the same at all levels.
    """
    owners = [owner for owner in range(len(targets)) for _ in range(REPEATS)]
    draws = [rng.standard_normal(targets[owner].shape) / np.sqrt(2.0) for owner in owners]
    for level in LEVELS:
        answers = list[FloatArray]()
        for owner, draw in zip(owners, draws, strict=True):
            moved = targets[owner] + draw * writer.diagonals[owner] * level / 100.0
            moved = np.clip(moved, 0.0, writer.sizes[owner])
            if writer.task is Task.AFFORDANCE:
                moved = _with_area(moved)
            answers.append(moved)
        yield writer.probe(ProbeKind.NOISE, f"noise {level:g} %", answers, owners, level)


def _with_area(corners: FloatArray) -> FloatArray:
    low, high = np.sort(corners, axis=0)
    return np.stack([low, np.maximum(high, low + 1e-3)])


def _strangers(writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator) -> Probe:
    """Other samples' targets, at the same place of the image in units of its sides."""
    count = len(targets)
    owners = [owner for owner in range(count) for _ in range(REPEATS)]
    strangers = [(owner + 1 + int(rng.random() * (count - 1))) % count for owner in owners]
    answers = [
        targets[stranger] / writer.sizes[stranger] * writer.sizes[owner]
        for owner, stranger in zip(owners, strangers, strict=True)
    ]
    return writer.probe(ProbeKind.OTHER, "another sample's target", answers, owners)


def _constants(
    writer: _Writer, targets: Sequence[FloatArray], rng: np.random.Generator
) -> Iterator[Probe]:
    """Answers that do not look at the sample, given in units of the image's sides."""
    units = [points / size for points, size in zip(targets, writer.sizes, strict=True)]
    everyone = list(range(len(targets)))
    fixed = (
        {"centre box": [[1 / 3, 1 / 3], [2 / 3, 2 / 3]], "whole image": [[0, 0], [1, 1]]}
        if writer.task is Task.AFFORDANCE
        else {"rest at centre": [[0.5, 0.5]] * 3, "corner to corner": [[0, 0], [0.5, 0.5], [1, 1]]}
    )
    answers = {name: np.array(points, dtype=np.float64) for name, points in fixed.items()}
    has_enough = len(targets) >= MIN_FOR_DATA_CONSTANTS
    if has_enough and writer.task is Task.AFFORDANCE:
        answers["mean box"] = np.mean(units, axis=0)
    elif has_enough:
        answers["mean trace"] = resample(units, MEAN_TRACE_POINTS).mean(axis=0)
    for name, points in answers.items():
        scaled = [points * writer.sizes[owner] for owner in everyone]
        yield writer.probe(ProbeKind.CONSTANT, name, scaled, everyone)
    if has_enough:
        chosen = rng.permutation(len(targets))
        for candidate in chosen[:CANDIDATES].tolist():
            owners = [owner for owner in chosen[:CANDIDATE_SAMPLES].tolist() if owner != candidate]
            scaled = [units[candidate] * writer.sizes[owner] for owner in owners]
            yield writer.probe(ProbeKind.CONSTANT, ONE_FOR_ALL, scaled, owners)
