"""Scoring: from completions to scored samples under one protocol and reward preset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maniplvm.data import scene_of
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.protocols import TASK_ANSWER_TYPE, Outcome, Protocol, parse_as
from maniplvm.evaluation.records import UNANSWERED, ScoredSample
from maniplvm.geometry.frames import resolve_frame
from maniplvm.rewards import Preset, Score, score_batch
from maniplvm.tasks import Answer, Sample, Task, parse_answer

Key = tuple[str, int]
"""A sample's id and the draw."""


@dataclass(frozen=True)
class Scored:
    """All completions under one protocol.

    Attributes:
        samples: The samples that the protocol measures, in the order of the data set.
        not_measured: Number of completions that it does not measure, by reason.
    """

    samples: Sequence[ScoredSample]
    not_measured: Mapping[str, int]


def score_all(
    predictions: Sequence[Prediction],
    samples: Sequence[Sample],
    draws: int,
    protocol: Protocol,
    preset: Preset,
    wrong_instructions: Mapping[str, str],
    outcomes: Mapping[Key, Outcome],
) -> Scored:
    """Score every requested completion, also the missing ones.

    Args:
        predictions: The completions, in any order.
        samples: All requested samples.
        draws: Requested completions of each sample.
        protocol: The protocol that measures answers.
        preset: The reward preset.
        wrong_instructions: The instruction that replaced a sample's own, by id.
        outcomes: Outcomes of executed traces, by id and draw.

    Raises:
        UserError: a completion is missing and the protocol does not allow that, a frame is
            invalid, or the protocol measures none of the samples.
    """
    given = {prediction.key: prediction for prediction in predictions}
    requested = [(sample.id, draw) for sample in samples for draw in range(draws)]
    missing = [key for key in requested if key not in given]
    if missing and not protocol.may_be_partial:
        raise UserError(
            f"protocol {protocol.name} needs a completion of every sample, but {len(missing)} of "
            f"{len(requested)} are missing, such as {missing[0][0]}; predict them, or choose a "
            "protocol that allows partial predictions"
        )
    by_id = {sample.id: sample for sample in samples}
    reasons = {key: _not_measured(protocol, by_id[key[0]], key in outcomes) for key in requested}
    kept = [key for key in requested if reasons[key] is None]
    not_measured = Counter(reason for reason in reasons.values() if reason is not None)
    if not kept:
        found = ", ".join(f"{count} {reason}" for reason, count in not_measured.items())
        raise UserError(
            f"protocol {protocol.name} measures none of these samples ({found}); its tasks are "
            f"{', '.join(protocol.tasks)}"
        )
    scored = score_samples(
        [given.get(key) or Prediction(key[0], "", draw=key[1]) for key in kept],
        by_id,
        protocol,
        preset,
        wrong_instructions,
        outcomes,
        frozenset(missing),
    )
    return Scored(scored, dict(not_measured))


def score_samples(
    predictions: Sequence[Prediction],
    samples: Mapping[str, Sample],
    protocol: Protocol,
    preset: Preset,
    wrong_instructions: Mapping[str, str],
    outcomes: Mapping[Key, Outcome],
    unanswered: frozenset[Key] = frozenset(),
) -> list[ScoredSample]:
    """Parse, measure and reward completions.

    Args:
        predictions: The completions; an empty text for a missing one.
        samples: The samples by id.
        protocol: The protocol that measures answers.
        preset: The reward preset.
        wrong_instructions: The instruction that replaced a sample's own, by id.
        outcomes: Outcomes of executed traces, by id and draw.
        unanswered: The predictions that are placeholders for missing ones, by id and draw.

    Returns:
        One scored sample for each prediction, in order.

    Raises:
        UserError: a frame is invalid, or the protocol does not measure a task.
    """
    own = [samples[prediction.id] for prediction in predictions]
    frames = [prediction.frame for prediction in predictions]
    try:
        scores = score_batch([p.text for p in predictions], own, preset, frames)
    except ValueError as error:
        raise UserError(f"predictions: {error}") from error
    answers = [
        _parse(prediction, sample, score, protocol)
        for prediction, sample, score in zip(predictions, own, scores, strict=True)
    ]
    executed = [outcomes.get(prediction.key) for prediction in predictions]
    measures = _measures(answers, own, executed, protocol)
    return [
        _scored(
            prediction, sample, score, answer, values, wrong_instructions.get(sample.id), outcome
        )
        if prediction.key not in unanswered
        else _missing(prediction, sample, score, answer, values)
        for prediction, sample, score, answer, values, outcome in zip(
            predictions, own, scores, answers, measures, executed, strict=True
        )
    ]


def read_answer(prediction: Prediction, sample: Sample) -> Answer:
    """The parsed answer of a prediction, in pixels of the original image.

    Raises:
        UserError: the frame is invalid.
    """
    try:
        frame = resolve_frame(prediction.frame, sample.image_size)
    except ValueError as error:
        raise UserError(f"prediction {prediction.id}: {error}") from error
    return parse_answer(prediction.text, sample.task, frame)


def _not_measured(protocol: Protocol, sample: Sample, was_executed: bool) -> str | None:
    """Why a protocol does not measure a sample; None if it does."""
    if sample.task not in protocol.tasks:
        return f"{sample.task}: not part of the protocol"
    if protocol.tasks[sample.task].needs_outcome and not was_executed:
        return f"{sample.task}: not executed in physics"
    return None


def _parse(prediction: Prediction, sample: Sample, score: Score, protocol: Protocol) -> Answer:
    """The answer of the type that the protocol measures."""
    if sample.task not in protocol.tasks:
        raise UserError(f"protocol {protocol.name} does not measure {sample.task}; choose a --task")
    answer_type = protocol.tasks[sample.task].answer_type
    if answer_type is TASK_ANSWER_TYPE[sample.task]:
        return score.answer
    frame = resolve_frame(prediction.frame, sample.image_size)
    return parse_as(prediction.text, score.answer, frame, answer_type)


def _measures(
    answers: Sequence[Answer],
    samples: Sequence[Sample],
    outcomes: Sequence[Outcome | None],
    protocol: Protocol,
) -> Iterable[dict[str, float]]:
    rows: list[dict[str, float]] = [{} for _ in samples]
    for task in Task:
        indices = [index for index, sample in enumerate(samples) if sample.task is task]
        if not indices:
            continue
        values = protocol.tasks[task].values(
            [answers[index].value for index in indices],
            [samples[index] for index in indices],
            [outcomes[index] for index in indices],
        )
        for index, row in zip(indices, values, strict=True):
            rows[index] = row
    return rows


def _scored(
    prediction: Prediction,
    sample: Sample,
    score: Score,
    measured: Answer,
    measures: Mapping[str, float],
    wrong_instruction: str | None,
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
        asked=wrong_instruction,
        part=sample.part or None,
        text=prediction.text,
        parsed=measured.parsed,
        well_formed=answer.well_formed,
        status=measured.status.value,
        answer=None if answer.value is None else answer.value.tolist(),
        target=target.tolist(),
        image_size=sample.image_size,
        measures=measures,
        reward=score.total,
        terms=score.terms,
        tokens=prediction.tokens,
        execution=outcome,
        guesses=tuple(guess.value for guess in measured.guesses),
        read_as=None if measured is answer or measured.value is None else measured.value.tolist(),
    )


def _missing(
    prediction: Prediction,
    sample: Sample,
    score: Score,
    measured: Answer,
    measures: Mapping[str, float],
) -> ScoredSample:
    empty = _scored(prediction, sample, score, measured, measures, None, None)
    return replace(empty, status=UNANSWERED)
