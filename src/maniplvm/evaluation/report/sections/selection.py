"""Which samples a gallery shows: extremes by score, even over the splits, and a random draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.metrics import LEADING, Metric, metric_of
from maniplvm.tasks.sample import Task

MOST_CARDS = 9
"""Cards in one gallery."""
MOST_DUELS = 6
"""Cards in one gallery of two models side by side."""


@dataclass(frozen=True)
class Pair:
    """One sample with its record after, and before where there is one."""

    before: ScoredSample | None
    after: ScoredSample

    @property
    def gain(self) -> float:
        """How much closer the answer came; 0 without a record before."""
        return 0.0 if self.before is None else quality(self.after) - quality(self.before)


@dataclass(frozen=True)
class Gallery:
    """Some samples of one task.

    Attributes:
        name: What is shown.
        phrase: How it was chosen.
        pairs: The samples in the order of their cards.
    """

    name: str
    phrase: str
    pairs: Sequence[Pair]


def quality(record: ScoredSample) -> float:
    """How close an answer is: IoU of a box, minus the error of a trace; else its reward."""
    metric = leading_of(record)
    if metric is None:
        return record.reward
    value = record.measures[metric.key]
    return value if metric.higher_is_better else -value


def leading_of(record: ScoredSample) -> Metric | None:
    """The first leading metric of its task that a record holds."""
    wanted = (*LEADING[record.task], "solved")
    keys = [key for key in wanted if key in record.measures]
    return metric_of(record.task, keys[0]) if keys else None


def pairs_of(before: Measured | None, after: Measured, task: Task) -> list[Pair]:
    """The first draw of every sample of a task."""
    earlier = {} if before is None else {r.id: r for r in before.samples if not r.draw}
    return [
        Pair(earlier.get(record.id), record)
        for record in after.samples
        if record.task is task and not record.draw
    ]


def galleries(pairs: Sequence[Pair], *, seed: int = 0) -> list[Gallery]:
    """Every gallery that has something to show.

    Args:
        pairs: Of one task.
        seed: Of the random draw.
    """
    order = np.random.default_rng(seed).permutation(len(pairs)).tolist()
    shuffled = [pairs[index] for index in order]
    read = [pair for pair in pairs if pair.after.parsed]
    chosen = [
        ("Random draw", "drawn by chance, so they show what is usual", shuffled),
        (
            "Best",
            "closest to their targets",
            sorted(read, key=lambda pair: -quality(pair.after)),
        ),
        (
            "Worst",
            "farthest from their targets among the answers that could be read",
            sorted(read, key=lambda pair: quality(pair.after)),
        ),
        (
            "Could not be read",
            "no coordinates were found; each counts as a miss in every strict figure",
            [pair for pair in shuffled if not pair.after.parsed],
        ),
    ]
    splits = list(dict.fromkeys(pair.after.split for pair in pairs))
    return [
        Gallery(name, phrase, _pick(ranked, splits)) for name, phrase, ranked in chosen if ranked
    ]


def duels(pairs: Sequence[Pair], first: str, second: str) -> list[Gallery]:
    """Two models side by side: where the second came closer, and where the first did.

    Args:
        pairs: Of one task; `before` holds the first model's answers.
        first: What the first model is called.
        second: What the second model is called.
    """
    splits = list(dict.fromkeys(pair.after.split for pair in pairs))
    answered = sorted((p for p in pairs if p.before is not None), key=lambda pair: -pair.gain)
    chosen = [
        (second, [pair for pair in answered if pair.gain > 0]),
        (first, [pair for pair in reversed(answered) if pair.gain < 0]),
    ]
    return [
        Gallery(
            f"{name} is closer",
            f"on {len(ranked):,} of {len(answered):,} samples; the largest differences first, "
            "the same number from every split",
            sorted(_pick(ranked, splits, MOST_DUELS), key=lambda pair: -abs(pair.gain)),
        )
        for name, ranked in chosen
        if ranked
    ]


def _pick(ranked: Iterable[Pair], splits: Iterable[str], most: int = MOST_CARDS) -> list[Pair]:
    """The first of each split in turn, one view of a scene, grouped by split."""
    waiting: dict[str, list[Pair]] = {split: [] for split in splits}
    seen = set[str]()
    for pair in ranked:
        own = waiting[pair.after.split]
        if pair.after.scene not in seen and len(own) < most:
            seen.add(pair.after.scene)
            own.append(pair)
    taken = dict.fromkeys(waiting, 0)
    while sum(taken.values()) < min(most, sum(map(len, waiting.values()))):
        free = [split for split in waiting if taken[split] < len(waiting[split])]
        taken[min(free, key=lambda split: taken[split])] += 1
    return [pair for split, own in waiting.items() for pair in own[: taken[split]]]
