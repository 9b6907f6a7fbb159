"""Scored completions: what `samples.jsonl` holds, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

from maniplvm.data import scene_of
from maniplvm.errors import UserError
from maniplvm.evaluation.outcome import Outcome
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.protocols import OWN_READING, Protocol, read_as
from maniplvm.geometry.frames import resolve_frame
from maniplvm.rewards import Preset, Score, score_batch
from maniplvm.tasks import Answer, Sample, Task, parse_answer

Numbers: TypeAlias = list[float] | list[list[float]]
"""A box `[x1, y1, x2, y2]`, or a trace or points `[[x, y], ...]` [px of the original image]."""

UNANSWERED = "no_prediction"
"""The status of a sample that a partial predictions file leaves out."""


@dataclass(frozen=True)
class ScoredSample:
    """One completion with all that was found out about it.

    Attributes:
        id: The sample's.
        draw: Number of the completion among those of the sample.
        split: The sample's.
        task: `affordance`, `trajectory` or `pointing`.
        category: The sample's.
        scene: What it shares with other views of the same scene (`scene_of`).
        instruction: The sample's.
        asked: What was asked instead (`--wrong-instruction`), or None.
        part: What the sample calls the part to touch, or None.
        text: The completion.
        parsed: Whether there is an answer that the protocol can measure.
        well_formed: Whether it has the exact form that was asked for.
        status: How the protocol's reading ended; `UNANSWERED` without a completion.
        answer: The answer as the task asks for it, or None.
        target: The right answer; of a region the tightest box around it.
        image_size: `(width, height)` [px].
        measures: The protocol's, by name; an unreadable completion at its worst.
        reward: The preset's total.
        terms: The preset's terms by name.
        tokens: Length of the completion, where it is known.
        execution: What became of it in physics, or None.
        read_as: What the protocol measured, where it reads something else than `answer`; or None.
    """

    id: str
    draw: int
    split: str
    task: Task
    category: str | None
    scene: str
    instruction: str
    asked: str | None
    part: str | None
    text: str
    parsed: bool
    well_formed: bool
    status: str
    answer: Numbers | None
    target: Numbers
    image_size: tuple[int, int]
    measures: Mapping[str, float]
    reward: float
    terms: Mapping[str, float]
    tokens: int | None
    execution: Outcome | None
    read_as: Numbers | None = None

    @property
    def answered(self) -> bool:
        """Whether there is a completion at all."""
        return self.status != UNANSWERED

    def to_line(self) -> str:
        """Its line in `samples.jsonl`; measures stand beside the other keys."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        measures = plain.pop("measures")
        if self.read_as is None:
            del plain["read_as"]
        if self.execution is not None:
            plain["execution"] = {
                "success": self.execution.success,
                "reason": self.execution.reason,
            }
        return json.dumps({**plain, **measures}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ScoredSample:
        """What `to_line` wrote, as JSON reads it."""
        names = {f.name: f.default is MISSING for f in fields(cls) if f.name != "measures"}
        known = {name: plain[name] for name, needed in names.items() if needed or name in plain}
        known["task"] = Task(known["task"])
        known["image_size"] = tuple(known["image_size"])
        known["measures"] = {name: value for name, value in plain.items() if name not in names}
        if known["execution"] is not None:
            known["execution"] = Outcome(**known["execution"])
        return cls(**known)


def score_samples(
    predictions: Sequence[Prediction],
    samples: Mapping[str, Sample],
    protocol: Protocol,
    preset: Preset,
    asked: Mapping[str, str],
    outcomes: Mapping[tuple[str, int], Outcome],
    unanswered: frozenset[tuple[str, int]] = frozenset(),
) -> list[ScoredSample]:
    """Read, measure and score completions.

    Args:
        predictions: The completions; empty texts where there is none.
        samples: By id.
        protocol: What is measured.
        preset: What is rewarded.
        asked: The instruction that was really used, by id, where it was not the sample's own.
        outcomes: Of executed traces, by id and draw.
        unanswered: Which of the predictions only stand for one that is missing, by id and draw.

    Returns:
        One for each prediction, in order.

    Raises:
        UserError: a bad frame, or a task that the protocol does not measure.
    """
    own = [samples[prediction.id] for prediction in predictions]
    frames = [prediction.frame for prediction in predictions]
    try:
        scores = score_batch([p.text for p in predictions], own, preset, frames)
    except ValueError as error:
        raise UserError(f"predictions: {error}") from error
    read = [
        _read(prediction, sample, score, protocol)
        for prediction, sample, score in zip(predictions, own, scores, strict=True)
    ]
    happened = [outcomes.get(prediction.key) for prediction in predictions]
    measures = _measures(read, own, happened, protocol)
    return [
        _scored(prediction, sample, score, answer, values, asked.get(sample.id), outcome)
        if prediction.key not in unanswered
        else _missing(prediction, sample, score, answer, values)
        for prediction, sample, score, answer, values, outcome in zip(
            predictions, own, scores, read, measures, happened, strict=True
        )
    ]


def read_answer(prediction: Prediction, sample: Sample) -> Answer:
    """What a prediction says about a sample, in original pixels.

    Raises:
        UserError: a bad frame.
    """
    try:
        frame = resolve_frame(prediction.frame, sample.image_size)
    except ValueError as error:
        raise UserError(f"prediction {prediction.id}: {error}") from error
    return parse_answer(prediction.text, sample.task, frame)


def read_samples(folder: Path) -> list[ScoredSample]:
    """The scored completions of a finished evaluation.

    Raises:
        UserError: the folder holds none, or damaged ones.
    """
    path = folder / "samples.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a finished evaluation"
        ) from error
    scored = list[ScoredSample]()
    for number, line in enumerate(lines, start=1):
        if line:
            try:
                scored.append(ScoredSample.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{path}, line {number}: not a scored sample ({type(error).__name__}: {error})"
                ) from error
    return scored


def _read(prediction: Prediction, sample: Sample, score: Score, protocol: Protocol) -> Answer:
    """The answer as the protocol takes it."""
    if sample.task not in protocol.tasks:
        raise UserError(f"protocol {protocol.name} does not measure {sample.task}; choose a --task")
    reads = protocol.tasks[sample.task].reads
    if reads is OWN_READING[sample.task]:
        return score.answer
    frame = resolve_frame(prediction.frame, sample.image_size)
    return read_as(prediction.text, score.answer, frame, reads)


def _measures(
    answers: Sequence[Answer],
    samples: Sequence[Sample],
    outcomes: Sequence[Outcome | None],
    protocol: Protocol,
) -> Iterable[dict[str, float]]:
    rows: list[dict[str, float]] = [{} for _ in samples]
    for task in Task:
        places = [index for index, sample in enumerate(samples) if sample.task is task]
        if not places:
            continue
        values = protocol.tasks[task].values(
            [answers[index].value for index in places],
            [samples[index] for index in places],
            [outcomes[index] for index in places],
        )
        for index, row in zip(places, values, strict=True):
            rows[index] = row
    return rows


def _scored(
    prediction: Prediction,
    sample: Sample,
    score: Score,
    read: Answer,
    measures: Mapping[str, float],
    asked: str | None,
    outcome: Outcome | None,
) -> ScoredSample:
    answer = score.answer
    trace = sample.task is Task.TRAJECTORY
    target = sample.target.points if trace else sample.target.points.reshape(4)
    return ScoredSample(
        id=sample.id,
        draw=prediction.draw,
        split=sample.split,
        task=sample.task,
        category=sample.category,
        scene=scene_of(sample),
        instruction=sample.instruction,
        asked=asked,
        part=sample.part or None,
        text=prediction.text,
        parsed=read.parsed,
        well_formed=answer.well_formed,
        status=read.status.value,
        answer=None if answer.value is None else answer.value.tolist(),
        target=target.tolist(),
        image_size=sample.image_size,
        measures=measures,
        reward=score.total,
        terms=score.terms,
        tokens=prediction.tokens,
        execution=outcome,
        read_as=None if read is answer or read.value is None else read.value.tolist(),
    )


def _missing(
    prediction: Prediction,
    sample: Sample,
    score: Score,
    read: Answer,
    measures: Mapping[str, float],
) -> ScoredSample:
    empty = _scored(prediction, sample, score, read, measures, None, None)
    return replace(empty, status=UNANSWERED)
