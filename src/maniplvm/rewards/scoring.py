"""The one scorer: a completion against a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from maniplvm.geometry import (
    corner_distance,
    dtw,
    giou,
    iou,
    startpoint_distance,
    trace_distances,
)
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame, FrameSpec, resolve_frame
from maniplvm.rewards.presets import Preset, resolve_preset
from maniplvm.rewards.terms import Distance, NearMiss, Term
from maniplvm.tasks.parsing.reading import Answer, ParseStatus, parse_answer
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

FrameLike: TypeAlias = str | Mapping[str, Any] | FrameSpec | Frame | None
PresetLike: TypeAlias = str | Path | Mapping[str, Any] | Preset


@dataclass(eq=False, slots=True)  # not frozen: that alone would cost 3 % of a batch
class Score:
    """What a completion earns.

    Attributes:
        total: Sum of the terms, from 0 to the preset's `highest`; always finite.
        terms: Each term's weighted value by name, in the preset's order.
        answer: What was read, with the status of both readings.
    """

    total: float
    terms: dict[str, float]
    answer: Answer

    @property
    def status(self) -> ParseStatus:
        """How the scored (tolerant) reading ended."""
        return self.answer.status


def score(
    text: str, sample: Sample, preset: PresetLike = "paper", frame: FrameLike = None
) -> Score:
    """Score one completion.

    Args:
        text: The completion, whatever it is; a text that cannot be read earns 0 in every task
            term, never an exception.
        sample: What was asked.
        preset: A name from `PRESETS`, a YAML file, settings, or a `Preset`.
        frame: The frame in which the model speaks (see `resolve_frame`); None means that the
            answer is in original pixels.

    Raises:
        UserError: a bad preset.
        ValueError: a bad frame.
    """
    return score_batch([text], [sample], preset, frame)[0]


def score_batch(
    texts: Sequence[str],
    samples: Sequence[Sample],
    preset: PresetLike = "paper",
    frame: FrameLike | Sequence[FrameLike] = None,
) -> list[Score]:
    """Score completions against their samples; the same results as one by one, much faster.

    Args:
        texts: B completions.
        samples: Their B samples; tasks may be mixed.
        preset: As in `score`.
        frame: One for all, or a sequence of B.

    Raises:
        UserError: a bad preset.
        ValueError: a bad frame, or lengths that differ.
    """
    if len(texts) != len(samples):
        raise ValueError(f"{len(texts)} texts for {len(samples)} samples")
    preset = resolve_preset(preset)
    if frame is None or isinstance(frame, str | FrameSpec | Frame | Mapping):
        sizes = {sample.image_size for sample in samples}
        bound = {size: resolve_frame(frame, size) for size in sizes}
        frames = [bound[sample.image_size] for sample in samples]
    else:
        if len(frame) != len(texts):
            raise ValueError(f"{len(frame)} frames for {len(texts)} texts")
        sizes_px = [sample.image_size for sample in samples]
        frames = [resolve_frame(*pair) for pair in zip(frame, sizes_px, strict=True)]
    answers = [
        parse_answer(text, sample.task, bound_frame)
        for text, sample, bound_frame in zip(texts, samples, frames, strict=True)
    ]
    return score_answers(answers, samples, preset)


def score_answers(
    answers: Sequence[Answer], samples: Sequence[Sample], preset: Preset
) -> list[Score]:
    """Score answers that are already parsed; `score_batch` without the reading.

    Raises:
        ValueError: lengths that differ, or an answer of another task than its sample's.
    """
    for answer, sample in zip(answers, samples, strict=True):
        if answer.task is not sample.task:
            raise ValueError(f"sample {sample.id} asks for {sample.task}, not for {answer.task}")
    rows: dict[Task, list[int]] = {task: [] for task in Task}
    for index, answer in enumerate(answers):
        rows[answer.task].append(index)
    scores: dict[int, Score] = {}
    for task, indices in rows.items():
        if indices:
            own = [answers[i] for i in indices]
            table = _term_table(own, [samples[i] for i in indices], preset.terms(task))
            names, totals = tuple(preset.terms(task)), table.sum(axis=1).tolist()
            for row in zip(indices, own, totals, table.tolist(), strict=True):
                index, answer, total, values = row
                scores[index] = Score(total, dict(zip(names, values, strict=True)), answer)
    return [scores[index] for index in range(len(answers))]


def _term_table(
    answers: Sequence[Answer], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> FloatArray:
    """Weighted terms of answers to one task, `(B, terms)`; 0 where the answer was not read."""
    table = np.zeros((len(answers), len(terms)))
    read = np.array([answer.value is not None for answer in answers])
    formed = np.array([answer.format_status is ParseStatus.OK for answer in answers])
    measured: dict[str, FloatArray] = {}
    if read.any():
        values = [answer.value for answer in answers if answer.value is not None]
        asked = [sample for sample, ok in zip(samples, read.tolist(), strict=True) if ok]
        measured = _MEASURES[answers[0].task](values, asked, terms)
    for column, (name, term) in enumerate(terms.items()):
        if name == "format":
            table[formed, column] = term.weight
        elif name in measured:
            table[read, column] = measured[name]
    return table


def _measure_boxes(
    values_px: Sequence[FloatArray], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    predicted = np.stack(values_px)
    target = np.stack([s.target.xyxy for s in samples if isinstance(s.target, BoxTarget)])
    overlap = iou(predicted, target)
    values: dict[str, FloatArray] = {}
    for name, term in terms.items():
        if name == "iou":
            values[name] = term.weight * overlap
        elif name == "giou":
            values[name] = term.weight * (1.0 + giou(predicted, target)) / 2.0
        elif isinstance(term, NearMiss):
            distance = corner_distance(predicted, target)
            values[name] = term.reward(overlap, distance, _diagonals(samples))
    return values


def _measure_traces(
    values_px: Sequence[FloatArray], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    targets = [s.target.points for s in samples if isinstance(s.target, TraceTarget)]
    shared = vars(trace_distances(values_px, targets))
    diagonals = _diagonals(samples)
    values: dict[str, FloatArray] = {}
    for name, term in terms.items():
        if isinstance(term, Distance):
            apart = shared[name] if name in shared else _APART[name](values_px, targets)
            values[name] = term.reward(np.asarray(apart), diagonals)
    return values


_APART = {"start": startpoint_distance, "dtw": dtw}
"""Distances that few presets ask for, measured only then."""


def _measure_points(
    values_px: Sequence[FloatArray], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    regions = [s.target for s in samples if isinstance(s.target, RegionTarget)]
    shares = [
        region.contains(points).mean() for points, region in zip(values_px, regions, strict=True)
    ]
    return {
        name: term.weight * np.array(shares) for name, term in terms.items() if name == "inside"
    }


_MEASURES = {
    Task.AFFORDANCE: _measure_boxes,
    Task.TRAJECTORY: _measure_traces,
    Task.POINTING: _measure_points,
}


def _diagonals(samples: Sequence[Sample]) -> FloatArray:
    sizes = np.array([sample.image_size for sample in samples], dtype=np.float64)
    return np.hypot(sizes[:, 0], sizes[:, 1])
