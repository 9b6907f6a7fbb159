"""From completions to measured samples: what is missing, and what a protocol says nothing about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maniplvm.errors import UserError
from maniplvm.evaluation.outcome import Outcome
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.protocols import Protocol
from maniplvm.evaluation.scored import ScoredSample, score_samples
from maniplvm.rewards import Preset
from maniplvm.tasks import Sample

Key = tuple[str, int]


@dataclass(frozen=True)
class Scored:
    """All completions under one protocol.

    Attributes:
        samples: Those that the protocol measures, in the order of the data set.
        not_measured: How many it says nothing about, by reason.
    """

    samples: Sequence[ScoredSample]
    not_measured: Mapping[str, int]


def measure_all(
    predictions: Sequence[Prediction],
    samples: Sequence[Sample],
    draws: int,
    protocol: Protocol,
    preset: Preset,
    asked: Mapping[str, str],
    outcomes: Mapping[Key, Outcome],
) -> Scored:
    """Measure what was asked, answered or not.

    Args:
        predictions: The completions, in any order.
        samples: All that were asked.
        draws: How many completions each was asked for.
        protocol: What is measured.
        preset: What is rewarded.
        asked: The instruction that was really used, by id, where it was not the sample's own.
        outcomes: Of executed traces, by id and draw.

    Raises:
        UserError: a completion is missing and the protocol needs all of them, a bad frame, or the
            protocol measures none of the samples.
    """
    given = {prediction.key: prediction for prediction in predictions}
    wanted = [(sample.id, draw) for sample in samples for draw in range(draws)]
    missing = [key for key in wanted if key not in given]
    if missing and not protocol.may_be_partial:
        raise UserError(
            f"protocol {protocol.name} needs an answer to every sample, but {len(missing)} of "
            f"{len(wanted)} have none, such as {missing[0][0]}; predict them, or choose a protocol "
            "that lets predictions be partial"
        )
    by_id = {sample.id: sample for sample in samples}
    reasons = {key: _silent(protocol, by_id[key[0]], key in outcomes) for key in wanted}
    kept = [key for key in wanted if reasons[key] is None]
    not_measured = Counter(reason for reason in reasons.values() if reason is not None)
    if not kept:
        found = ", ".join(f"{count} {reason}" for reason, count in not_measured.items())
        raise UserError(
            f"protocol {protocol.name} measures none of these samples ({found}); it knows "
            f"{', '.join(protocol.tasks)}"
        )
    scored = score_samples(
        [given.get(key) or Prediction(key[0], "", draw=key[1]) for key in kept],
        by_id,
        protocol,
        preset,
        asked,
        outcomes,
        frozenset(missing),
    )
    return Scored(scored, dict(not_measured))


def _silent(protocol: Protocol, sample: Sample, was_executed: bool) -> str | None:
    """Why a protocol says nothing about a sample; None where it does."""
    if sample.task not in protocol.tasks:
        return f"{sample.task}: not part of the protocol"
    if protocol.tasks[sample.task].needs_outcome and not was_executed:
        return f"{sample.task}: not executed in physics"
    return None
