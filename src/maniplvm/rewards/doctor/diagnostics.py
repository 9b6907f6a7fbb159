"""What is wrong with a reward: the doctor's rules and their thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.rewards.doctor.probe_scores import (
    FORMAT_TERM,
    Evidence,
    Measurement,
    mean,
    paired_gain,
)
from maniplvm.rewards.doctor.probes import MIN_FOR_DATA_CONSTANTS, ProbeKind
from maniplvm.rewards.doctor.resolution import ENLARGED, SIZE_ERROR
from maniplvm.tasks.sample import Task

SMALL_ERROR, LARGE_ERROR = 5.0, 20.0
"""Where models err [% of the diagonal]. The published traces' discrete Frechet distances of
106 to 208 thousandths of a side, before and after training, are about 7 to 15 % of the diagonal;
the window reaches somewhat further on both sides. Boxes are pointed at with about the same error:
published IoUs of .06 to .36 mean that most answers lie beside a small target, not on it."""

MIN_SLOPE = 0.05
"""Share of the target's reward that must be lost between these two errors. The presets that are
known to train lose .25 to .5; what loses less than .05 gives a group of answers the same reward
up to rounding and sampling noise, so that the advantages are noise."""

GOOD_ERROR = 5.0
"""A good answer [% of the diagonal]: near the best published trace error. A constant answer that
earns as much leaves the policy no reason to look at the image."""

TOLERANCE = 0.01
"""Share of the target's reward by which means may go the wrong way: rounding to a frame."""

STANDARD_ERRORS = 3.0
"""Standard errors of a paired mean that are put down to the draw of samples and directions: about
thirty comparisons are made, and a sound reward should pass them all."""

MIN_SPREAD = 1e-6
"""Below this share of its size a reward, or a term, does not depend on the answer at all."""

MIN_TARGET_SHARE = 0.7
"""Share of the highest possible task reward that the target itself must earn once it is written
in the frame: below it, rounding costs more than half of what training has ever gained (.06 to
.36 in IoU)."""

MAX_LOST = 0.01
"""Share of targets that may earn nothing at all: a frame that loses more is too coarse."""

MAX_SIZE_GAP = 0.1
"""Share of the target's reward by which the same answer may earn differently on a larger image:
rounding to whole pixels alone can cost a few hundredths of it on thumbnails."""

GARBAGE_NOTHING = 1e-9
"""What counts as no reward: the rounding of a sum."""


class Ailment(StrEnum):
    """What can be wrong with a reward."""

    NOT_FINITE = "not finite"
    CONSTANT = "constant"
    DEAD_TERM = "dead term"
    TARGET_LOST = "target lost"
    DEPENDS_ON_SIZE = "depends on image size"
    SATURATED = "saturated"
    NOT_MONOTONE = "not monotone"
    BEATEN_BY_CONSTANT = "beaten by a constant"
    NOT_HIGHEST_AT_TARGET = "not highest at the target"
    PAYS_GARBAGE = "pays garbage"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        ailment: Its kind.
        message: One line: what is wrong, the measured number, what to do.
        measured: The number; NaN where there is none.
    """

    ailment: Ailment
    message: str
    measured: float


Rule: TypeAlias = Callable[[Evidence], Iterator[Finding]]


def find_ailments(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, the gravest first; a constant reward hides those that merely follow from it."""
    always: tuple[Rule, ...] = (_not_finite, _constant)
    findings = [finding for rule in always for finding in rule(evidence)]
    if not any(finding.ailment is Ailment.CONSTANT for finding in findings):
        rules: tuple[Rule, ...] = (
            _dead_terms,
            _target_lost,
            _depends_on_size,
            _saturated,
            _not_monotone,
            _beaten_by_constant,
            _not_highest_at_target,
        )
        findings += [finding for rule in rules for finding in rule(evidence)]
    return (*findings, *_pays_garbage(evidence))


def unjudged(evidence: Evidence) -> tuple[str, ...]:
    """What could not be judged on these samples, and why; one line each."""
    notes = list[str]()
    for level in (SMALL_ERROR, LARGE_ERROR):
        if evidence.offset(level) is None:
            notes.append(f"no target can be moved by {level:g} % of the diagonal inside its image")
    if len(evidence.samples) < MIN_FOR_DATA_CONSTANTS:
        notes.append(
            f"only {len(evidence.samples)} samples: the data set's mean and best single target are "
            f"not tried below {MIN_FOR_DATA_CONSTANTS}"
        )
    return tuple(notes)


def _not_finite(evidence: Evidence) -> Iterator[Finding]:
    broken = [found for found in evidence.measurements if found.not_finite is not None]
    if broken:
        text = repr(broken[0].not_finite)
        shown = text if len(text) < 60 else f"{text[:56]}..."
        yield Finding(
            Ailment.NOT_FINITE,
            f"NaN or infinite on {len(broken)} of {len(evidence.measurements)} probes, first on "
            f"{broken[0].probe.name!r} ({shown}): guard the arithmetic of the terms before any "
            "clipping",
            float(len(broken)),
        )


def _constant(evidence: Evidence) -> Iterator[Finding]:
    values = np.concatenate([found.task for found in evidence.readable])
    values = values[~np.isnan(values)]
    if len(values) and _spread(values) <= MIN_SPREAD:
        yield Finding(
            Ailment.CONSTANT,
            f"constant: every answer, right or wrong, earns {values[0]:.3g} in the task terms: "
            "nothing can be learned; check that the answer is parsed as the right task and frame",
            float(values[0]),
        )


def _dead_terms(evidence: Evidence) -> Iterator[Finding]:
    names = [name for name in evidence.target.terms if name != FORMAT_TERM]
    for name in names if len(names) > 1 else ():
        values = np.concatenate([found.terms[name] for found in evidence.readable])
        values = values[~np.isnan(values)]
        if len(values) and _spread(values) <= MIN_SPREAD:
            yield Finding(
                Ailment.DEAD_TERM,
                f"dead term: {name} is {values[0]:.3g} for every answer, right or wrong: remove "
                "it, or give it a weight and a slope",
                float(values[0]),
            )


def _spread(values: FloatArray) -> float:
    """Range over size; 0 for zeros."""
    size = float(np.abs(values).max())
    return float(np.ptp(values)) / size if size else 0.0


def _target_lost(evidence: Evidence) -> Iterator[Finding]:
    earned = evidence.target.task[~np.isnan(evidence.target.task)]
    lost = float((earned <= 0).mean()) if len(earned) else 1.0
    if lost > MAX_LOST:
        yield Finding(
            Ailment.TARGET_LOST,
            f"target lost: {100 * lost:.0f} % of the targets, written in frame {evidence.frame}, "
            "earn nothing: use a finer frame, or images in which the target is larger",
            lost,
        )
    elif evidence.highest and evidence.scale < MIN_TARGET_SHARE * evidence.highest:
        share = evidence.scale / evidence.highest
        yield Finding(
            Ailment.TARGET_LOST,
            f"target lost: the targets themselves, written in frame {evidence.frame}, earn only "
            f"{100 * share:.0f} % of the highest reward (needs {100 * MIN_TARGET_SHARE:.0f} %): "
            "use a finer frame, or images in which the target is larger",
            share,
        )


def _depends_on_size(evidence: Evidence) -> Iterator[Finding]:
    if evidence.sizes is None or evidence.scale <= 0:
        return
    usual, enlarged = (mean(measurement.task) for measurement in evidence.sizes)
    gap = abs(usual - enlarged) / evidence.scale
    if gap > MAX_SIZE_GAP:
        yield Finding(
            Ailment.DEPENDS_ON_SIZE,
            f"depends on image size: an answer {SIZE_ERROR:g} % off earns {usual:.4f}, and "
            f"{enlarged:.4f} on the same images {ENLARGED} times as large: divide distances by "
            "the diagonal (unit: diagonal)",
            gap,
        )


def _saturated(evidence: Evidence) -> Iterator[Finding]:
    near, far = evidence.offset(SMALL_ERROR), evidence.offset(LARGE_ERROR)
    if near is None or far is None or evidence.scale <= 0:
        return
    slope = round(-paired_gain(near.task, far.task)[0] / evidence.scale, 9) + 0.0  # no "-0.00 %"
    if slope < MIN_SLOPE:
        yield Finding(
            Ailment.SATURATED,
            f"saturated: from {SMALL_ERROR:g} % to {LARGE_ERROR:g} % of the diagonal, where models "
            f"err, only {100 * slope:.2f} % of the target's reward is lost "
            f"(needs {100 * MIN_SLOPE:.0f} %; "
            f"{mean(near.task):.4f} to {mean(far.task):.4f} of {evidence.scale:.4f}): "
            f"{_slope_advice(evidence)}",
            slope,
        )


def _slope_advice(evidence: Evidence) -> str:
    if evidence.samples[0].task is Task.TRAJECTORY:
        return "divide distances by the diagonal (unit: diagonal) and lower k, or use preset dense"
    sides = [np.ptp(s.target.points, axis=0) / s.image_size for s in evidence.samples]
    return (
        f"the boxes are small (median side {100 * np.median(sides):.1f} % of the image's), and "
        "overlap says nothing to a near miss: use preset dense, which credits it"
    )


def _not_monotone(evidence: Evidence) -> Iterator[Finding]:
    for kind in (ProbeKind.OFFSET, ProbeKind.NOISE):
        ladder = [evidence.target, *evidence.of(kind)]
        worst: tuple[float, str] | None = None
        for near, far in pairwise(ladder):
            excess, gain = _excess(near, far, evidence)
            if excess > 0 and (worst is None or gain > worst[0]):
                worst = gain, f"from {near.probe.name} to {far.probe.name}"
        if worst is not None:
            yield Finding(
                Ailment.NOT_MONOTONE,
                f"not monotone: {worst[1]} the reward rises by {worst[0]:.4f}: a worse answer must "
                "not earn more; check the terms one by one in the table",
                worst[0],
            )


def _beaten_by_constant(evidence: Evidence) -> Iterator[Finding]:
    good = evidence.offset(GOOD_ERROR)
    constants = evidence.of(ProbeKind.CONSTANT)
    if good is None or not constants:
        return
    best = max(constants, key=lambda found: mean(found.task))
    earned, decent = mean(best.task), mean(good.task)
    if earned > 0 and earned >= decent:
        yield Finding(
            Ailment.BEATEN_BY_CONSTANT,
            f"beaten by a constant: {best.probe.name!r} for every sample earns {earned:.4f}, an "
            f"answer {GOOD_ERROR:g} % off its target {decent:.4f}: add a term that pays less for "
            "it, use preset dense, or vary the data",
            earned,
        )


def _not_highest_at_target(evidence: Evidence) -> Iterator[Finding]:
    gains = [
        (gain, found.probe.name)
        for found in evidence.measurements[1:]
        for excess, gain in [_excess(evidence.target, found, evidence)]
        if excess > 0
    ]
    if gains:
        gain, name = max(gains)
        yield Finding(
            Ailment.NOT_HIGHEST_AT_TARGET,
            f"not highest at the target: {name!r} earns {gain:.4f} more than the target itself: "
            "check frame, axis order and the sign of the terms",
            gain,
        )


def _excess(lower: Measurement, upper: Measurement, evidence: Evidence) -> tuple[float, float]:
    """By how much the gain exceeds what rounding and chance explain, and the gain."""
    gain, error = paired_gain(lower.total, upper.total)
    return gain - TOLERANCE * abs(evidence.scale) - STANDARD_ERRORS * error, gain


def _pays_garbage(evidence: Evidence) -> Iterator[Finding]:
    paid = list[tuple[float, str]]()
    for found in evidence.of(ProbeKind.GARBAGE):
        earned = np.abs(found.task[~np.isnan(found.task)])
        target = evidence.target.task[~np.isnan(found.task)]
        limit = found.probe.allowed * np.nan_to_num(target) + GARBAGE_NOTHING
        if (earned > limit).any():
            paid.append((float(earned.max()), found.probe.name))
    if paid:
        worst, _ = max(paid)
        names = [repr(name) for _, name in paid[:3]]
        more = f" and {len(paid) - 3} more" if len(paid) > 3 else ""
        yield Finding(
            Ailment.PAYS_GARBAGE,
            f"pays garbage: {', '.join(names)}{more}: up to {worst:.4f} in the task terms: read "
            "answers with maniplvm.tasks.parse_answer, and pay nothing for what it rejects",
            worst,
        )
