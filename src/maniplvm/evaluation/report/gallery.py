"""Which samples a gallery shows: extremes by score, even over the splits, and a random draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.scored import ScoredSample
from maniplvm.tasks.sample import Task

MOST_CARDS = 9
"""Cards in one gallery."""


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
        pairs: The samples, split by split.
    """

    name: str
    phrase: str
    pairs: Sequence[Pair]


def quality(record: ScoredSample) -> float:
    """How close an answer is: IoU of a box, minus the error of a trace; else its reward."""
    if "iou" in record.measures:
        return record.measures["iou"]
    if "dfd_diagonal" in record.measures:
        return -record.measures["dfd_diagonal"]
    return record.reward


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
            "Most improved",
            "came closest compared with before",
            sorted((p for p in pairs if p.gain > 0), key=lambda pair: -pair.gain),
        ),
        (
            "Most worsened",
            "moved away most compared with before",
            sorted((p for p in pairs if p.gain < 0), key=lambda pair: pair.gain),
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


def _pick(ranked: Iterable[Pair], splits: Iterable[str]) -> list[Pair]:
    """The first of each split in turn, one view of a scene, grouped by split."""
    waiting: dict[str, list[Pair]] = {split: [] for split in splits}
    seen = set[str]()
    for pair in ranked:
        own = waiting[pair.after.split]
        if pair.after.scene not in seen and len(own) < MOST_CARDS:
            seen.add(pair.after.scene)
            own.append(pair)
    taken = dict.fromkeys(waiting, 0)
    while sum(taken.values()) < min(MOST_CARDS, sum(map(len, waiting.values()))):
        free = [split for split in waiting if taken[split] < len(waiting[split])]
        taken[min(free, key=lambda split: taken[split])] += 1
    return [pair for split, own in waiting.items() for pair in own[: taken[split]]]
