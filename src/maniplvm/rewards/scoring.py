"""The one scorer: a completion against a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry import corner_distance, giou, iou, trace_distances
from maniplvm.geometry.frames import Frame, FrameSpec, resolve_frame
from maniplvm.rewards.presets import Preset, resolve_preset
from maniplvm.rewards.terms import Distance, NearMiss, Term
from maniplvm.tasks.answers import Answer, ParseStatus, parse_answer
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

FloatArray: TypeAlias = NDArray[np.float64]
FrameLike: TypeAlias = str | Mapping[str, Any] | FrameSpec | Frame | None
PresetLike: TypeAlias = str | Path | Mapping[str, Any] | Preset


@dataclass(frozen=True, eq=False, slots=True)
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
        samples: Their B samples; both tasks may be mixed.
        preset: As in `score`.
        frame: One for all, or a sequence of B.

    Raises:
        UserError: a bad preset.
        ValueError: a bad frame, or lengths that differ.
    """
    if len(texts) != len(samples):
        raise ValueError(f"{len(texts)} texts for {len(samples)} samples")
    preset = resolve_preset(preset)
    answers = [
        parse_answer(text, sample.task, resolve_frame(one_frame, sample.image_size))
        for text, sample, one_frame in zip(texts, samples, _frames(frame, len(texts)), strict=True)
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
    columns: dict[int, dict[str, float]] = {}
    for task, measure in ((Task.AFFORDANCE, _measure_boxes), (Task.TRAJECTORY, _measure_traces)):
        parsed = [
            index
            for index, answer in enumerate(answers)
            if answer.task is task and answer.value is not None
        ]
        if parsed:
            terms = preset.terms(task)
            values = measure([answers[i] for i in parsed], [samples[i] for i in parsed], terms)
            for name, column in values.items():
                for index, value in zip(parsed, column.tolist(), strict=True):
                    columns.setdefault(index, {})[name] = value
    return [
        _score(answer, preset.terms(sample.task), columns.get(index, {}))
        for index, (answer, sample) in enumerate(zip(answers, samples, strict=True))
    ]


def _score(answer: Answer, terms: Mapping[str, Term], task_values: dict[str, float]) -> Score:
    values: dict[str, float] = {}
    for name, term in terms.items():
        if name == "format":
            values[name] = term.weight if answer.well_formed else 0.0
        else:
            values[name] = task_values.get(name, 0.0)
    return Score(sum(values.values()), values, answer)


def _measure_boxes(
    answers: Sequence[Answer], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    predicted = np.stack([answer.value for answer in answers if answer.value is not None])
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
    answers: Sequence[Answer], samples: Sequence[Sample], terms: Mapping[str, Term]
) -> dict[str, FloatArray]:
    distances = trace_distances(
        [answer.value for answer in answers if answer.value is not None],
        [s.target.points for s in samples if isinstance(s.target, TraceTarget)],
    )
    diagonals = _diagonals(samples)
    return {
        name: term.reward(getattr(distances, name), diagonals)
        for name, term in terms.items()
        if isinstance(term, Distance)
    }


def _diagonals(samples: Sequence[Sample]) -> FloatArray:
    sizes = np.array([sample.image_size for sample in samples], dtype=np.float64)
    return np.hypot(sizes[:, 0], sizes[:, 1])


def _frames(frame: FrameLike | Sequence[FrameLike], count: int) -> Sequence[FrameLike]:
    if frame is None or isinstance(frame, str | Mapping | FrameSpec | Frame):
        return [frame] * count
    if len(frame) != count:
        raise ValueError(f"{len(frame)} frames for {count} texts")
    return frame
