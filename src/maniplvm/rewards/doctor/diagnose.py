"""The reward doctor: is this reward fit to train on this data set?

It scores answers whose quality is known (see `probes` and `garbage`) and judges what they earn
(see `findings`). Nothing is trained, and no image is opened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.geometry.frames import Frame, FrameSpec, resolve_frame
from maniplvm.rewards.doctor.adversarial import garbage_probes
from maniplvm.rewards.doctor.diagnostics import Finding, find_ailments, unjudged
from maniplvm.rewards.doctor.probe_scores import (
    FORMAT_TERM,
    Evidence,
    Measurement,
    Scorer,
    mean,
    measure,
)
from maniplvm.rewards.doctor.probes import ONE_FOR_ALL, ProbeKind, answer_probes
from maniplvm.rewards.doctor.resolution import resolution_probes
from maniplvm.rewards.presets import Preset
from maniplvm.rewards.scoring import score_batch
from maniplvm.tasks.sample import Sample, Task


@dataclass(frozen=True)
class ProbeResult:
    """What one kind of answer earned on average.

    Attributes:
        kind: What is known about these answers.
        name: For tables.
        level: Size of the error [% of the image's diagonal], of `offset` and `noise`.
        total: Mean reward.
        terms: Mean of each weighted term by name.
        samples: How many samples it covers: fewer than all where an offset fits few images.
    """

    kind: ProbeKind
    name: str
    level: float | None
    total: float
    terms: dict[str, float]
    samples: int


@dataclass(frozen=True)
class Diagnosis:
    """The doctor's report on one reward, one task and one data set.

    Attributes:
        reward: The preset's name.
        task: The task of the samples.
        frame: The frame in which the answers were written.
        samples: How many samples were used.
        probes: What each kind of answer earned, the target first.
        findings: What is wrong, the gravest first.
        notes: What these samples do not suffice to judge.
    """

    reward: str
    task: Task
    frame: str
    samples: int
    probes: tuple[ProbeResult, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def of(self, kind: ProbeKind) -> tuple[ProbeResult, ...]:
        """The probes of one kind, in order."""
        return tuple(probe for probe in self.probes if probe.kind is kind)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; a number that does not exist is None."""
        return {
            "reward": self.reward,
            "task": str(self.task),
            "frame": self.frame,
            "samples": self.samples,
            "healthy": self.healthy,
            "findings": [
                {
                    "ailment": str(finding.ailment),
                    "message": finding.message,
                    "measured": _json_number(finding.measured),
                }
                for finding in self.findings
            ],
            "notes": list(self.notes),
            "probes": [
                {
                    "kind": str(probe.kind),
                    "name": probe.name,
                    "level": probe.level,
                    "total": _json_number(probe.total),
                    "terms": {name: _json_number(value) for name, value in probe.terms.items()},
                    "samples": probe.samples,
                }
                for probe in self.probes
            ],
        }


def diagnose(
    samples: Sequence[Sample],
    preset: Preset,
    rng: np.random.Generator,
    frame: str | FrameSpec = "pixels",
) -> Diagnosis:
    """Examine a preset on samples of one task.

    Args:
        samples: What the policy would be asked; a few hundred are plenty.
        preset: The reward.
        rng: Draws offsets, noise and the pairing of samples: same seed, same diagnosis.
        frame: The frame in which answers are written and read.

    Raises:
        ValueError: no samples, samples of both tasks, a preset without terms for the task, or an
            unknown frame.
    """
    task = _only_task(samples)
    terms = preset.terms(task)
    if not any(name != FORMAT_TERM for name in terms):
        raise ValueError(f"preset {preset.name} has no terms for {task}")

    def scorer(texts: Sequence[str], owners: Sequence[Sample]) -> list[dict[str, float]]:
        return [score.terms for score in score_batch(texts, owners, preset, frame)]

    paid_for_format = terms[FORMAT_TERM].weight if FORMAT_TERM in terms else 0.0
    highest = preset.highest(task) - paid_for_format
    return diagnose_scorer(samples, scorer, rng, frame, name=preset.name, highest=highest)


def diagnose_scorer(
    samples: Sequence[Sample],
    scorer: Scorer,
    rng: np.random.Generator,
    frame: str | FrameSpec = "pixels",
    *,
    name: str = "custom",
    highest: float | None = None,
) -> Diagnosis:
    """Examine any reward function; `diagnose` for what is no preset.

    Args:
        samples: As in `diagnose`.
        scorer: The reward (see `Scorer`); it reads answers in `frame`.
        rng: As in `diagnose`.
        frame: As in `diagnose`.
        name: What to call the reward.
        highest: The highest possible sum of the task terms, if known.

    Raises:
        ValueError: no samples, samples of both tasks, an unknown frame, or a scorer that returns
            too few scores or changing terms.
    """
    task = _only_task(samples)
    frames = [_bound(frame, sample) for sample in samples]
    measurements = [
        measure(probe, samples, scorer) for probe in answer_probes(samples, frames, rng)
    ]
    measurements = _best_constant_only(measurements)
    measurements += [measure(probe, samples, scorer) for probe in garbage_probes(samples, frames)]
    usual, enlarged = (
        measure(probe, owners, scorer)
        for probe, owners in resolution_probes(samples, lambda sample: _bound(frame, sample))
    )
    evidence = Evidence(samples, measurements, highest, frames[0].name, (usual, enlarged))
    return Diagnosis(
        name,
        task,
        frames[0].name,
        len(samples),
        probes=tuple(_result(measurement) for measurement in measurements),
        findings=find_ailments(evidence),
        notes=unjudged(evidence),
    )


def _only_task(samples: Sequence[Sample]) -> Task:
    tasks = {sample.task for sample in samples}
    if len(tasks) != 1:
        raise ValueError(f"expected samples of one task, got {', '.join(sorted(tasks)) or 'none'}")
    task = tasks.pop()
    if task is Task.POINTING:
        raise ValueError("the doctor covers boxes and traces, not pointing")
    return task


def _bound(frame: str | FrameSpec, sample: Sample) -> Frame:
    return resolve_frame(frame, sample.image_size)


def _best_constant_only(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Of the targets that were tried as the answer to everything, the one that earns most."""
    tried = [found for found in measurements if found.probe.name == ONE_FOR_ALL]
    others = [found for found in measurements if found.probe.name != ONE_FOR_ALL]
    return [*others, max(tried, key=lambda found: mean(found.task))] if tried else others


def _result(measurement: Measurement) -> ProbeResult:
    probe = measurement.probe
    return ProbeResult(
        kind=probe.kind,
        name=probe.name,
        level=probe.level,
        total=mean(measurement.total),
        terms={name: mean(values) for name, values in measurement.terms.items()},
        samples=int((~np.isnan(measurement.total)).sum()),
    )


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
