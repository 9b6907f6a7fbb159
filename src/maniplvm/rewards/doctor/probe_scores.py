"""What a reward pays for the doctor's probes."""

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
"""Completions and their samples in; for each, its weighted terms by name, which add up to the
reward; each is at least 0. A term named `format` pays for the form of the text; all others are
task terms."""

FORMAT_TERM = "format"


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a probe earned, sample by sample.

    Attributes:
        probe: The texts.
        terms: Each term by name, `(N,)` for all N samples: the mean over the sample's texts; NaN
            for a sample that the probe leaves out.
        not_finite: The first text whose reward was NaN or infinite, or None; such a text is left
            out of `terms`.
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
class Evidence:
    """All that a reward paid: what the doctor's rules look at.

    Attributes:
        samples: N samples of one task.
        measurements: Every probe's rewards, the target's first.
        highest: The highest possible task reward, or None if unknown.
        frame: The name of the frame in which the answers were written.
        sizes: The same answers on images as they are, and on larger ones.
    """

    samples: Sequence[Sample]
    measurements: Sequence[Measurement]
    highest: float | None
    frame: str
    sizes: tuple[Measurement, Measurement] | None = None

    @property
    def target(self) -> Measurement:
        """The target's own rewards."""
        return self.measurements[0]

    @cached_property
    def scale(self) -> float:
        """What the target earns in the task terms, on average: the unit of every threshold."""
        return mean(self.target.task)

    @property
    def readable(self) -> list[Measurement]:
        """All probes but garbage."""
        return [each for each in self.measurements if each.probe.kind is not ProbeKind.GARBAGE]

    def of(self, kind: ProbeKind) -> list[Measurement]:
        """The probes of a kind, in order of their level."""
        return [each for each in self.measurements if each.probe.kind is kind]

    def offset(self, level: float) -> Measurement | None:
        """The target moved by `level` [% of the diagonal]; None when nothing fits the image."""
        found = (each for each in self.of(ProbeKind.OFFSET) if each.probe.level == level)
        return next(found, None)


def measure(probe: Probe, samples: Sequence[Sample], scorer: Scorer) -> Measurement:
    """Score a probe.

    Raises:
        ValueError: the scorer returns another number of scores than it was given texts, or names
            other terms for one text than for another.
    """
    scores = scorer(probe.texts, [samples[owner] for owner in probe.owners])
    if len(scores) != len(probe.texts):
        raise ValueError(f"the scorer gave {len(scores)} scores for {len(probe.texts)} texts")
    names = tuple(scores[0])
    if any(score.keys() != scores[0].keys() for score in scores):
        raise ValueError(f"the scorer's terms change from text to text; first: {', '.join(names)}")
    values = np.array([[score[name] for name in names] for score in scores], dtype=np.float64)
    values = values.reshape(len(scores), len(names))
    finite = np.isfinite(values).all(axis=1) & np.isfinite(values.sum(axis=1))
    owners = np.array(probe.owners)[finite]
    counts = np.bincount(owners, minlength=len(samples))
    terms = dict[str, FloatArray]()
    for column, name in enumerate(names):
        sums = np.bincount(owners, weights=values[finite, column], minlength=len(samples))
        terms[name] = np.divide(sums, counts, out=np.full(len(samples), np.nan), where=counts > 0)
    not_finite = None if finite.all() else probe.texts[int(finite.argmin())]
    return Measurement(probe, terms, not_finite)


def mean(values: FloatArray) -> float:
    """Mean over the samples that a probe covers; NaN when it covers none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


def paired_gain(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """How much more `second` earns than `first` on the samples that both cover.

    Args:
        first: `(N,)` with NaN for samples that are left out.
        second: `(N,)`, likewise.

    Returns:
        The mean gain and its standard error; `(0, 0)` when they share no sample, and an error of
        0 when they share one.
    """
    gains = second - first
    gains = gains[~np.isnan(gains)]
    if not len(gains):
        return 0.0, 0.0
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    return float(gains.mean()), error
