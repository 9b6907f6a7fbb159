"""The checks of the reward doctor and their thresholds."""

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
    ProbeScores,
    ScoreTable,
    mean,
    paired_difference,
)
from maniplvm.rewards.doctor.probes import MIN_FOR_DATA_CONSTANTS, ProbeKind
from maniplvm.rewards.doctor.resolution import ENLARGED, SIZE_ERROR
from maniplvm.tasks.sample import Task

SMALL_ERROR, LARGE_ERROR = 5.0, 20.0
"""Range of typical model errors [% of the diagonal].

The published discrete Frechet distances of traces, before and after training, are 106 to 208
thousandths of a side. That is about 7 to 15 % of the diagonal. The range is somewhat wider. Boxes
have similar errors: with the published IoUs of .06 to .36, most answers miss a small target."""

MIN_SLOPE = 0.05
"""Minimum decrease of the reward between these two errors, as a share of the target's reward.

It is .25 to .5 for the presets that are known to train. Below .05, the answers of a group get the
same reward up to rounding and sampling noise. Their advantages are then noise."""

GOOD_ERROR = 5.0
"""Error of a good answer [% of the diagonal]: near the best published trace error.

If a constant answer scores as high, the policy can ignore the image."""

TOLERANCE = 0.01
"""Tolerance for an increase of a mean, as a share of the target's reward: rounding to a frame."""

STANDARD_ERRORS = 3.0
"""Tolerance for the random draw of samples and directions, in standard errors of a paired mean.

The doctor makes about thirty comparisons, and a correct reward should pass all of them."""

MIN_SPREAD = 1e-6
"""Minimum range of a reward or a term, as a share of its largest absolute value.

Below it, the value is constant."""

MIN_TARGET_SHARE = 0.7
"""Minimum reward of the target written in the frame, as a share of the maximum task reward.

Below it, rounding costs more than half of the published gains of training (.06 to .36 in IoU)."""

MAX_LOST = 0.01
"""Maximum share of targets with a reward of 0. Above it, the frame is too coarse."""

MAX_SIZE_GAP = 0.1
"""Maximum difference for the same answer on a larger image, as a share of the target's reward.

Rounding to integer pixels alone can cost a few hundredths on thumbnails."""

ZERO_TOLERANCE = 1e-9
"""Largest value that counts as 0: the rounding error of a sum."""


class IssueKind(StrEnum):
    """The kinds of issues."""

    NOT_FINITE = "not finite"
    CONSTANT_REWARD = "constant reward"
    CONSTANT_TERM = "constant term"
    LOW_TARGET_SCORE = "low score at the target"
    DEPENDS_ON_SIZE = "depends on image size"
    SATURATED = "saturated"
    NOT_MONOTONE = "not monotone"
    BEATEN_BY_CONSTANT = "beaten by a constant"
    NOT_HIGHEST_AT_TARGET = "not highest at the target"
    REWARDS_ADVERSARIAL = "rewards adversarial answers"


@dataclass(frozen=True)
class Issue:
    """One issue of a reward function.

    Attributes:
        kind: The kind of the issue.
        message: One line: what is wrong, the measured number, and what to do.
        measured: The measured number; NaN if there is none.
    """

    kind: IssueKind
    message: str
    measured: float


Check: TypeAlias = Callable[[ScoreTable], Iterator[Issue]]


def find_issues(table: ScoreTable) -> tuple[Issue, ...]:
    """All issues, the most severe first.

    A constant reward fails most other checks too. They are then skipped.
    """
    first: tuple[Check, ...] = (_not_finite, _constant_reward)
    issues = [issue for check in first for issue in check(table)]
    if not any(issue.kind is IssueKind.CONSTANT_REWARD for issue in issues):
        others: tuple[Check, ...] = (
            _constant_terms,
            _low_target_score,
            _depends_on_size,
            _saturated,
            _not_monotone,
            _beaten_by_constant,
            _not_highest_at_target,
        )
        issues += [issue for check in others for issue in check(table)]
    return (*issues, *_rewards_adversarial(table))


def untested(table: ScoreTable) -> tuple[str, ...]:
    """The checks that these samples do not allow, with the reason; one line each."""
    notes = list[str]()
    for level in (SMALL_ERROR, LARGE_ERROR):
        if table.offset(level) is None:
            notes.append(f"no image has room to move its target by {level:g} % of the diagonal")
    if len(table.samples) < MIN_FOR_DATA_CONSTANTS:
        notes.append(
            f"only {len(table.samples)} samples: the mean target and the best single target need "
            f"at least {MIN_FOR_DATA_CONSTANTS}"
        )
    return tuple(notes)


def _not_finite(table: ScoreTable) -> Iterator[Issue]:
    failed = [each for each in table.probes if each.not_finite is not None]
    if failed:
        text = repr(failed[0].not_finite)
        excerpt = text if len(text) < 60 else f"{text[:56]}..."
        yield Issue(
            IssueKind.NOT_FINITE,
            f"not finite: NaN or infinite on {len(failed)} of {len(table.probes)} probes, first on "
            f"{failed[0].probe.name!r} ({excerpt}): handle NaN and infinity before any clipping",
            float(len(failed)),
        )


def _constant_reward(table: ScoreTable) -> Iterator[Issue]:
    values = np.concatenate([each.task for each in table.readable])
    values = values[~np.isnan(values)]
    if len(values) and _spread(values) <= MIN_SPREAD:
        yield Issue(
            IssueKind.CONSTANT_REWARD,
            f"constant reward: every answer, correct or wrong, gets {values[0]:.3g} in the task "
            "terms: check that answers are parsed as the right task and in the right frame",
            float(values[0]),
        )


def _constant_terms(table: ScoreTable) -> Iterator[Issue]:
    names = [name for name in table.target.terms if name != FORMAT_TERM]
    for name in names if len(names) > 1 else ():
        values = np.concatenate([each.terms[name] for each in table.readable])
        values = values[~np.isnan(values)]
        if len(values) and _spread(values) <= MIN_SPREAD:
            yield Issue(
                IssueKind.CONSTANT_TERM,
                f"constant term: {name} is {values[0]:.3g} for every answer, correct or wrong: "
                "remove it, or set its weight and k above 0",
                float(values[0]),
            )


def _spread(values: FloatArray) -> float:
    """Range divided by the largest absolute value; 0 if all values are 0."""
    size = float(np.abs(values).max())
    return float(np.ptp(values)) / size if size else 0.0


def _low_target_score(table: ScoreTable) -> Iterator[Issue]:
    rewards = table.target.task[~np.isnan(table.target.task)]
    lost = float((rewards <= 0).mean()) if len(rewards) else 1.0
    if lost > MAX_LOST:
        yield Issue(
            IssueKind.LOW_TARGET_SCORE,
            f"low score at the target: {100 * lost:.0f} % of the targets, written in frame "
            f"{table.frame}, get 0: use a finer frame, or images with larger targets",
            lost,
        )
    elif table.max_task_reward and table.target_reward < MIN_TARGET_SHARE * table.max_task_reward:
        share = table.target_reward / table.max_task_reward
        yield Issue(
            IssueKind.LOW_TARGET_SCORE,
            f"low score at the target: the targets, written in frame {table.frame}, get only "
            f"{100 * share:.0f} % of the maximum reward (minimum {100 * MIN_TARGET_SHARE:.0f} %): "
            "use a finer frame, or images with larger targets",
            share,
        )


def _depends_on_size(table: ScoreTable) -> Iterator[Issue]:
    if table.resolutions is None or table.target_reward <= 0:
        return
    original, enlarged = (mean(scores.task) for scores in table.resolutions)
    gap = abs(original - enlarged) / table.target_reward
    if gap > MAX_SIZE_GAP:
        yield Issue(
            IssueKind.DEPENDS_ON_SIZE,
            f"depends on image size: an answer with an error of {SIZE_ERROR:g} % gets "
            f"{original:.4f}, and {enlarged:.4f} on the same images {ENLARGED} times as large: "
            "divide distances by the diagonal (unit: diagonal)",
            gap,
        )


def _saturated(table: ScoreTable) -> Iterator[Issue]:
    near, far = table.offset(SMALL_ERROR), table.offset(LARGE_ERROR)
    if near is None or far is None or table.target_reward <= 0:
        return
    decrease = -paired_difference(near.task, far.task)[0] / table.target_reward
    slope = round(decrease, 9) + 0.0  # avoids "-0.00 %"
    if slope < MIN_SLOPE:
        yield Issue(
            IssueKind.SATURATED,
            f"saturated: between errors of {SMALL_ERROR:g} % and {LARGE_ERROR:g} % of the diagonal "
            f"the reward falls by only {100 * slope:.2f} % of the target's reward "
            f"(minimum {100 * MIN_SLOPE:.0f} %; "
            f"{mean(near.task):.4f} to {mean(far.task):.4f} of {table.target_reward:.4f}): "
            f"{_slope_advice(table)}",
            slope,
        )


def _slope_advice(table: ScoreTable) -> str:
    if table.samples[0].task is Task.TRAJECTORY:
        return "divide distances by the diagonal (unit: diagonal) and lower k, or use preset dense"
    sides = [np.ptp(s.target.points, axis=0) / s.image_size for s in table.samples]
    return (
        f"the boxes are small (median side {100 * np.median(sides):.1f} % of the image side), and "
        "IoU is 0 for a near miss: use preset dense, which rewards near misses"
    )


def _not_monotone(table: ScoreTable) -> Iterator[Issue]:
    for kind in (ProbeKind.OFFSET, ProbeKind.NOISE):
        levels = [table.target, *table.of(kind)]
        worst: tuple[float, str] | None = None
        for near, far in pairwise(levels):
            excess, gain = _excess(near, far, table)
            if excess > 0 and (worst is None or gain > worst[0]):
                worst = gain, f"from {near.probe.name} to {far.probe.name}"
        if worst is not None:
            yield Issue(
                IssueKind.NOT_MONOTONE,
                f"not monotone: {worst[1]} the reward rises by {worst[0]:.4f}: a worse answer must "
                "not score higher; check each term in the table",
                worst[0],
            )


def _beaten_by_constant(table: ScoreTable) -> Iterator[Issue]:
    good = table.offset(GOOD_ERROR)
    constants = table.of(ProbeKind.CONSTANT)
    if good is None or not constants:
        return
    best = max(constants, key=lambda each: mean(each.task))
    reward, good_reward = mean(best.task), mean(good.task)
    if reward > 0 and reward >= good_reward:
        yield Issue(
            IssueKind.BEATEN_BY_CONSTANT,
            f"beaten by a constant: {best.probe.name!r} for every sample gets {reward:.4f}, an "
            f"answer with an error of {GOOD_ERROR:g} % gets {good_reward:.4f}: add a term that "
            "scores the constant lower, use preset dense, or vary the data",
            reward,
        )


def _not_highest_at_target(table: ScoreTable) -> Iterator[Issue]:
    gains = [
        (gain, scores.probe.name)
        for scores in table.probes[1:]
        for excess, gain in [_excess(table.target, scores, table)]
        if excess > 0
    ]
    if gains:
        gain, name = max(gains)
        yield Issue(
            IssueKind.NOT_HIGHEST_AT_TARGET,
            f"not highest at the target: {name!r} gets {gain:.4f} more than the target itself: "
            "check frame, axis order and the sign of the terms",
            gain,
        )


def _excess(lower: ProbeScores, upper: ProbeScores, table: ScoreTable) -> tuple[float, float]:
    """The gain beyond the tolerance for rounding and chance, and the gain itself."""
    gain, error = paired_difference(lower.total, upper.total)
    return gain - TOLERANCE * abs(table.target_reward) - STANDARD_ERRORS * error, gain


def _rewards_adversarial(table: ScoreTable) -> Iterator[Issue]:
    rewarded = list[tuple[float, str]]()
    for scores in table.of(ProbeKind.ADVERSARIAL):
        rewards = np.abs(scores.task[~np.isnan(scores.task)])
        target = table.target.task[~np.isnan(scores.task)]
        limit = scores.probe.max_share * np.nan_to_num(target) + ZERO_TOLERANCE
        if (rewards > limit).any():
            rewarded.append((float(rewards.max()), scores.probe.name))
    if rewarded:
        worst, _ = max(rewarded)
        names = [repr(name) for _, name in rewarded[:3]]
        more = f" and {len(rewarded) - 3} more" if len(rewarded) > 3 else ""
        yield Issue(
            IssueKind.REWARDS_ADVERSARIAL,
            f"rewards adversarial answers: {', '.join(names)}{more} get up to {worst:.4f} in the "
            "task terms: parse answers with maniplvm.tasks.parse_answer, and give 0 to rejected ones",
            worst,
        )
