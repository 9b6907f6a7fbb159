"""The reward doctor: checks a reward function on a data set before training.

It scores answers of known quality (see `probes` and `adversarial`) and checks the scores (see
`diagnostics`). It trains nothing and opens no image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.geometry.frames import Frame, FrameSpec, resolve_frame
from maniplvm.rewards.doctor.adversarial import adversarial_probes
from maniplvm.rewards.doctor.diagnostics import Issue, find_issues, untested
from maniplvm.rewards.doctor.probe_scores import (
    FORMAT_TERM,
    ProbeScores,
    Scorer,
    ScoreTable,
    mean,
    score_probe,
)
from maniplvm.rewards.doctor.probes import BEST_SINGLE_TARGET, ProbeKind, answer_probes
from maniplvm.rewards.doctor.resolution import resolution_probes
from maniplvm.rewards.presets import Preset
from maniplvm.rewards.scoring import score_batch
from maniplvm.tasks.sample import Sample, Task


@dataclass(frozen=True)
class ProbeResult:
    """Mean scores of one probe.

    Attributes:
        kind: The kind of the probe's answers.
        name: The probe's name in tables.
        level: The size of the error [% of the image diagonal]; None unless `offset` or `noise`.
        total: The mean reward.
        terms: The mean of each weighted term, by name.
        samples: The number of samples with a score. It is lower than the number of all samples if
            an offset would leave the image.
    """

    kind: ProbeKind
    name: str
    level: float | None
    total: float
    terms: dict[str, float]
    samples: int


@dataclass(frozen=True)
class Diagnosis:
    """The result of the doctor for one reward, one task and one data set.

    Attributes:
        reward: The preset's name.
        task: The task of the samples.
        frame: The name of the coordinate frame of the answers.
        samples: The number of samples.
        probes: The mean scores of each probe; the target comes first.
        issues: The issues found, the most severe first.
        notes: Checks that were not possible on these samples, with the reason.
    """

    reward: str
    task: Task
    frame: str
    samples: int
    probes: tuple[ProbeResult, ...]
    issues: tuple[Issue, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the doctor found no issue."""
        return not self.issues

    def of(self, kind: ProbeKind) -> tuple[ProbeResult, ...]:
        """The results of one kind of probe, in order."""
        return tuple(probe for probe in self.probes if probe.kind is kind)

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values; None replaces numbers that are not finite."""
        return {
            "reward": self.reward,
            "task": str(self.task),
            "frame": self.frame,
            "samples": self.samples,
            "passed": self.passed,
            "issues": [
                {
                    "kind": str(issue.kind),
                    "message": issue.message,
                    "measured": _json_number(issue.measured),
                }
                for issue in self.issues
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
    """Check a preset on samples of one task.

    Args:
        samples: Samples of the training data; a few hundred are enough.
        preset: The reward.
        rng: The generator for offsets, noise and other-sample targets. The same seed gives the
            same result.
        frame: The coordinate frame of the answers.

    Raises:
        ValueError: no samples, samples of more than one task, a preset without terms for the
            task, or an unknown frame.
    """
    task = _only_task(samples)
    terms = preset.terms(task)
    if not any(name != FORMAT_TERM for name in terms):
        raise ValueError(f"preset {preset.name} has no terms for {task}")

    def scorer(texts: Sequence[str], batch: Sequence[Sample]) -> list[dict[str, float]]:
        return [score.terms for score in score_batch(texts, batch, preset, frame)]

    format_weight = terms[FORMAT_TERM].weight if FORMAT_TERM in terms else 0.0
    max_task_reward = preset.max_reward(task) - format_weight
    return diagnose_scorer(
        samples, scorer, rng, frame, name=preset.name, max_task_reward=max_task_reward
    )


def diagnose_scorer(
    samples: Sequence[Sample],
    scorer: Scorer,
    rng: np.random.Generator,
    frame: str | FrameSpec = "pixels",
    *,
    name: str = "custom",
    max_task_reward: float | None = None,
) -> Diagnosis:
    """Check any reward function. `diagnose` does the same for a preset.

    Args:
        samples: As in `diagnose`.
        scorer: The reward function (see `Scorer`); it parses answers in `frame`.
        rng: As in `diagnose`.
        frame: As in `diagnose`.
        name: The name of the reward in the result.
        max_task_reward: The maximum of the sum of the task terms, if known.

    Raises:
        ValueError: no samples, samples of more than one task, an unknown frame, or a scorer that
            returns a wrong number of scores or different terms for different texts.
    """
    task = _only_task(samples)
    frames = [_bound(frame, sample) for sample in samples]
    probes = [score_probe(probe, samples, scorer) for probe in answer_probes(samples, frames, rng)]
    probes = _best_constant_only(probes)
    probes += [score_probe(probe, samples, scorer) for probe in adversarial_probes(samples, frames)]
    original, enlarged = (
        score_probe(probe, resized, scorer)
        for probe, resized in resolution_probes(samples, lambda sample: _bound(frame, sample))
    )
    table = ScoreTable(samples, probes, max_task_reward, frames[0].name, (original, enlarged))
    return Diagnosis(
        name,
        task,
        frames[0].name,
        len(samples),
        probes=tuple(_result(scores) for scores in probes),
        issues=find_issues(table),
        notes=untested(table),
    )


def _only_task(samples: Sequence[Sample]) -> Task:
    tasks = {sample.task for sample in samples}
    if len(tasks) != 1:
        raise ValueError(f"expected samples of one task, got {', '.join(sorted(tasks)) or 'none'}")
    task = tasks.pop()
    if task is Task.POINTING:
        raise ValueError("the doctor checks rewards for boxes and traces, not for pointing")
    return task


def _bound(frame: str | FrameSpec, sample: Sample) -> Frame:
    return resolve_frame(frame, sample.image_size)


def _best_constant_only(probes: Sequence[ProbeScores]) -> list[ProbeScores]:
    """Keep only the best of the probes that use one target for every sample."""
    single = [each for each in probes if each.probe.name == BEST_SINGLE_TARGET]
    others = [each for each in probes if each.probe.name != BEST_SINGLE_TARGET]
    return [*others, max(single, key=lambda each: mean(each.task))] if single else others


def _result(scores: ProbeScores) -> ProbeResult:
    probe = scores.probe
    return ProbeResult(
        kind=probe.kind,
        name=probe.name,
        level=probe.level,
        total=mean(scores.total),
        terms={name: mean(values) for name, values in scores.terms.items()},
        samples=int((~np.isnan(scores.total)).sum()),
    )


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
