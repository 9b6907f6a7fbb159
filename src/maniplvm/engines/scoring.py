"""Scores of completions from ground-truth strings, for reward functions outside our trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.rewards import score_batch
from maniplvm.rewards.presets import Preset
from maniplvm.tasks import Task

RATES = ("parse_rate", "format_rate")
"""Metrics of every completion; their values are 0 or 1."""


@dataclass(frozen=True)
class Scored:
    """The score of one completion.

    Attributes:
        total: The reward.
        metrics: `RATES`, and every weighted term of the sample's task as `task/term`.
    """

    total: float
    metrics: Mapping[str, float]


def score_completions(
    texts: Sequence[str], ground_truths: Sequence[str], preset: Preset
) -> list[Scored]:
    """Score completions as `maniplvm.rewards.score_batch` does.

    Args:
        texts: The completions.
        ground_truths: A string of `write_ground_truth` for each completion.
        preset: The reward terms and their weights.

    Raises:
        UserError: a ground truth is not one of ours.
    """
    pairs = [read_ground_truth(text) for text in ground_truths]
    samples, frames = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    scores = score_batch(texts, samples, preset, frames)
    return [
        Scored(
            score.total,
            {
                "parse_rate": float(score.answer.parsed),
                "format_rate": float(score.answer.well_formed),
                **{f"{sample.task}/{name}": value for name, value in score.terms.items()},
            },
        )
        for sample, score in zip(samples, scores, strict=True)
    ]


def term_names(preset: Preset, tasks: Sequence[Task] = tuple(Task)) -> tuple[str, ...]:
    """The names of all terms of a preset in `Scored.metrics`."""
    return tuple(f"{task}/{name}" for task in tasks for name in preset.terms(task))
