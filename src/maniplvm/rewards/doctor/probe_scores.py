"""The scores that a reward function gives to the probes of the doctor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.rewards.doctor.probes import Probe, ProbeKind
from maniplvm.tasks.sample import Sample

Scorer: TypeAlias = Callable[[Sequence[str], Sequence[Sample]], Sequence[Mapping[str, float]]]
"""A reward function: from completions and their samples to weighted terms by name.

Each term is at least 0, and their sum is the reward. A term named `format` scores the form of the
text. All other terms are task terms."""

FORMAT_TERM = "format"


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """The scores of one probe for each sample.

    Attributes:
        probe: The probe with its texts.
        terms: Each term by name, `(N,)` for all N samples: the mean over the texts of a sample.
            It is NaN for a sample without a text in this probe.
        not_finite: The first text with a NaN or infinite reward, or None. `terms` leaves out such
            texts.
    """

    probe: Probe
    terms: Mapping[str, FloatArray]
    not_finite: str | None

    @cached_property
    def total(self) -> FloatArray:
        """The reward, `(N,)`."""
        return np.sum(list(self.terms.values()), axis=0)

    @cached_property
    def task(self) -> FloatArray:
        """The reward without the format term, `(N,)`."""
        values = [value for name, value in self.terms.items() if name != FORMAT_TERM]
        return np.sum(values, axis=0) if values else np.zeros_like(self.total)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The scores of all probes: the input of the doctor's checks.

    Attributes:
        samples: N samples of one task.
        probes: The scores of each probe; the target comes first.
        max_task_reward: The maximum of the sum of the task terms, or None if unknown.
        frame: The name of the coordinate frame of the answers.
        resolutions: The scores of the same answers on the original and on enlarged images.
    """

    samples: Sequence[Sample]
    probes: Sequence[ProbeScores]
    max_task_reward: float | None
    frame: str
    resolutions: tuple[ProbeScores, ProbeScores] | None = None

    @property
    def target(self) -> ProbeScores:
        """The scores of the target itself."""
        return self.probes[0]

    @cached_property
    def target_reward(self) -> float:
        """The mean task reward of the target: the unit of the thresholds."""
        return mean(self.target.task)

    @property
    def readable(self) -> list[ProbeScores]:
        """All probes except the adversarial ones."""
        return [each for each in self.probes if each.probe.kind is not ProbeKind.ADVERSARIAL]

    def of(self, kind: ProbeKind) -> list[ProbeScores]:
        """The probes of a kind, in order of their level."""
        return [each for each in self.probes if each.probe.kind is kind]

    def offset(self, level: float) -> ProbeScores | None:
        """The target moved by `level` [% of the diagonal]; None if no image has room for it."""
        found = (each for each in self.of(ProbeKind.OFFSET) if each.probe.level == level)
        return next(found, None)


def score_probe(probe: Probe, samples: Sequence[Sample], scorer: Scorer) -> ProbeScores:
    """Score a probe.

    Raises:
        ValueError: the numbers of scores and texts differ, or the terms differ between texts.
    """
    scores = scorer(probe.texts, [samples[index] for index in probe.sample_indices])
    if len(scores) != len(probe.texts):
        raise ValueError(f"the scorer returned {len(scores)} scores for {len(probe.texts)} texts")
    names = tuple(scores[0])
    if any(score.keys() != scores[0].keys() for score in scores):
        first = ", ".join(names)
        raise ValueError(f"the scorer's terms differ between texts; the first text has {first}")
    values = np.array([[score[name] for name in names] for score in scores], dtype=np.float64)
    values = values.reshape(len(scores), len(names))
    finite = np.isfinite(values).all(axis=1) & np.isfinite(values.sum(axis=1))
    sample_indices = np.array(probe.sample_indices)[finite]
    counts = np.bincount(sample_indices, minlength=len(samples))
    terms = dict[str, FloatArray]()
    for column, name in enumerate(names):
        sums = np.bincount(sample_indices, weights=values[finite, column], minlength=len(samples))
        terms[name] = np.divide(sums, counts, out=np.full(len(samples), np.nan), where=counts > 0)
    not_finite = None if finite.all() else probe.texts[int(finite.argmin())]
    return ProbeScores(probe, terms, not_finite)


def mean(values: FloatArray) -> float:
    """Mean over the samples with a score; NaN if there are none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


def paired_difference(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Mean of `second - first` over the samples that have both scores.

    Args:
        first: Scores, `(N,)`; NaN for samples without a score.
        second: Scores, `(N,)`; NaN for samples without a score.

    Returns:
        The mean and its standard error. Both are 0 without a common sample. The error is 0 with
        one common sample.
    """
    differences = second - first
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return 0.0, 0.0
    count = len(differences)
    error = float(differences.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    return float(differences.mean()), error
