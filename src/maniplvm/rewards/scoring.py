"""Score completions against samples."""

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
from maniplvm.rewards.terms import DistanceTerm, NearMissTerm, Term
from maniplvm.tasks.parsing.reading import Answer, parse_answer
from maniplvm.tasks.parsing.status import ParseStatus
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

FrameLike: TypeAlias = str | Mapping[str, Any] | FrameSpec | Frame | None
PresetLike: TypeAlias = str | Path | Mapping[str, Any] | Preset


@dataclass(eq=False, slots=True)  # not frozen, because a frozen class makes a batch 3 % slower
class Score:
    """The reward of a completion.

    Attributes:
        total: The sum of the terms, from 0 to the preset's `max_reward`; always finite.
        terms: The weighted value of each term by name, in the order of the preset.
        answer: The parsed answer, with the status of both readings.
    """

    total: float
    terms: dict[str, float]
    answer: Answer

    @property
    def status(self) -> ParseStatus:
        """The status of the tolerant reading, which is scored."""
        return self.answer.status


def score(
    text: str, sample: Sample, preset: PresetLike = "paper", frame: FrameLike = None
) -> Score:
    """Score one completion.

    Args:
        text: The completion; any string. A text that cannot be parsed gets 0 in every task term
            and raises no exception.
        sample: The sample that the completion answers.
        preset: A name from `PRESETS`, a YAML file, a mapping, or a `Preset`.
        frame: The coordinate frame of the model (see `resolve_frame`). None means original
            pixels.

    Raises:
        UserError: an invalid preset.
        ValueError: an invalid frame.
    """
    return score_batch([text], [sample], preset, frame)[0]


def score_batch(
    texts: Sequence[str],
    samples: Sequence[Sample],
    preset: PresetLike = "paper",
    frame: FrameLike | Sequence[FrameLike] = None,
) -> list[Score]:
    """Score a batch of completions: the same results as `score`, but much faster.

    Args:
        texts: B completions.
        samples: B samples, of one task or of several. A trace's time and memory grow with the
            product of the lengths of target and answer. Imported targets have at most 1,000 points.
        preset: As in `score`.
        frame: One frame for all, or a sequence of B frames.

    Raises:
        UserError: an invalid preset.
        ValueError: an invalid frame, or different lengths.
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
    """Score parsed answers.

    Raises:
        ValueError: different lengths, or different tasks of an answer and its sample.
    """
    for answer, sample in zip(answers, samples, strict=True):
        if answer.task is not sample.task:
            raise ValueError(
                f"sample {sample.id} has task {sample.task}, but its answer has task {answer.task}"
            )
    rows: dict[Task, list[int]] = {task: [] for task in Task}
    for index, answer in enumerate(answers):
        rows[answer.task].append(index)
    scores: dict[int, Score] = {}
    for task, indices in rows.items():
        if indices:
            task_answers = [answers[i] for i in indices]
            table = _term_table(task_answers, [samples[i] for i in indices], preset.terms(task))
            names, totals = tuple(preset.terms(task)), table.sum(axis=1).tolist()
            for row in zip(indices, task_answers, totals, table.tolist(), strict=True):
                index, answer, total, values = row
                scores[index] = Score(total, dict(zip(names, values, strict=True)), answer)
    return [scores[index] for index in range(len(answers))]


def _term_table(
    answers: Sequence[Answer], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> FloatArray:
    """Weighted terms of answers to one task, `(B, terms)`; 0 for answers without a value."""
    table = np.zeros((len(answers), len(terms)))
    parsed = np.array([answer.value is not None for answer in answers])
    well_formed = np.array([answer.format_status is ParseStatus.OK for answer in answers])
    term_values: dict[str, FloatArray] = {}
    if parsed.any():
        values = [answer.value for answer in answers if answer.value is not None]
        parsed_samples = [sample for sample, ok in zip(samples, parsed.tolist(), strict=True) if ok]
        term_values = _TERM_FUNCTIONS[answers[0].task](values, parsed_samples, terms)
    for column, (name, term) in enumerate(terms.items()):
        if name == "format":
            table[well_formed, column] = term.weight
        elif name in term_values:
            table[parsed, column] = term_values[name]
    return table


def _box_terms(
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
            values[name] = term.weight * ((1.0 + giou(predicted, target)) / 2.0)
        elif isinstance(term, NearMissTerm):
            distance = corner_distance(predicted, target)
            values[name] = term.reward(overlap, distance, _diagonals(samples))
    return values


def _trace_terms(
    values_px: Sequence[FloatArray], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    targets = [s.target.points for s in samples if isinstance(s.target, TraceTarget)]
    shared = vars(trace_distances(values_px, targets))
    diagonals = _diagonals(samples)
    values: dict[str, FloatArray] = {}
    for name, term in terms.items():
        if isinstance(term, DistanceTerm):
            distance = shared[name] if name in shared else _RARE_DISTANCES[name](values_px, targets)
            values[name] = term.reward(np.asarray(distance), diagonals)
    return values


_RARE_DISTANCES = {"start": startpoint_distance, "dtw": dtw}
"""Distances that are computed only for presets that use them."""


def _point_terms(
    values_px: Sequence[FloatArray], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    regions = [s.target for s in samples if isinstance(s.target, RegionTarget)]
    fractions = [
        region.contains(points).mean() for points, region in zip(values_px, regions, strict=True)
    ]
    return {
        name: term.weight * np.array(fractions) for name, term in terms.items() if name == "inside"
    }


_TERM_FUNCTIONS = {
    Task.AFFORDANCE: _box_terms,
    Task.TRAJECTORY: _trace_terms,
    Task.POINTING: _point_terms,
}


def _diagonals(samples: Sequence[Sample]) -> FloatArray:
    sizes = np.array([sample.image_size for sample in samples], dtype=np.float64)
    return np.hypot(sizes[:, 0], sizes[:, 1])
