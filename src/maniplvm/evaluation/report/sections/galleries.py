"""Selection of samples for galleries: best, worst, unparsed and random samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.report.folders import ModelEvaluation
from maniplvm.evaluation.report.metrics import HEADLINE_METRICS, Metric, metric_of
from maniplvm.tasks.sample import Task

MAX_CARDS = 9
"""Most samples of one gallery."""
MAX_COMPARISON_CARDS = 6
"""Most samples of one gallery that compares two models."""


@dataclass(frozen=True)
class SamplePair:
    """One sample with its record after training, and the one before if it exists."""

    before: ScoredSample | None
    after: ScoredSample

    @property
    def gain(self) -> float:
        """Increase of `quality` from before to after, 0 without a record before."""
        return 0.0 if self.before is None else quality(self.after) - quality(self.before)


@dataclass(frozen=True)
class GallerySelection:
    """Selected samples of one task.

    Attributes:
        name: Name of the gallery.
        description: How the samples are selected.
        pairs: The samples in the order of the page.
    """

    name: str
    description: str
    pairs: Sequence[SamplePair]


def quality(record: ScoredSample) -> float:
    """Score by which samples are ranked: IoU, negative trace error, or else the reward."""
    metric = headline_metric(record)
    if metric is None:
        return record.reward
    value = record.measures[metric.key]
    return value if metric.higher_is_better else -value


def headline_metric(record: ScoredSample) -> Metric | None:
    """The first summary metric of the task that a record has."""
    candidates = (*HEADLINE_METRICS[record.task], "solved")
    keys = [key for key in candidates if key in record.measures]
    return metric_of(record.task, keys[0]) if keys else None


def sample_pairs(
    before: ModelEvaluation | None, after: ModelEvaluation, task: Task
) -> list[SamplePair]:
    """Pairs of the first completion of every sample of a task."""
    earlier = {} if before is None else {r.id: r for r in before.samples if not r.draw}
    return [
        SamplePair(earlier.get(record.id), record)
        for record in after.samples
        if record.task is task and not record.draw
    ]


def select_galleries(pairs: Sequence[SamplePair], *, seed: int = 0) -> list[GallerySelection]:
    """Select samples for all galleries that are not empty.

    Args:
        pairs: Pairs of one task.
        seed: Seed of the random gallery.
    """
    order = np.random.default_rng(seed).permutation(len(pairs)).tolist()
    shuffled = [pairs[index] for index in order]
    read = [pair for pair in pairs if pair.after.parsed]
    chosen = [
        ("Random", "random samples show typical answers", shuffled),
        (
            "Best",
            "answers with the best score",
            sorted(read, key=lambda pair: -quality(pair.after)),
        ),
        (
            "Worst",
            "parsed answers with the worst score",
            sorted(read, key=lambda pair: quality(pair.after)),
        ),
        (
            "Not parsed",
            "no coordinates were found; each answer counts as a failure in all strict metrics",
            [pair for pair in shuffled if not pair.after.parsed],
        ),
    ]
    splits = list(dict.fromkeys(pair.after.split for pair in pairs))
    return [
        GallerySelection(name, description, _select(ranked, splits))
        for name, description, ranked in chosen
        if ranked
    ]


def comparison_galleries(
    pairs: Sequence[SamplePair], first: str, second: str
) -> list[GallerySelection]:
    """Samples on which one of two models is better, with the largest differences first.

    Args:
        pairs: Pairs of one task. `before` is the record of the first model.
        first: Name of the first model.
        second: Name of the second model.
    """
    splits = list(dict.fromkeys(pair.after.split for pair in pairs))
    answered = sorted((p for p in pairs if p.before is not None), key=lambda pair: -pair.gain)
    chosen = [
        (second, [pair for pair in answered if pair.gain > 0]),
        (first, [pair for pair in reversed(answered) if pair.gain < 0]),
    ]
    return [
        GallerySelection(
            f"{name} is better",
            f"on {len(ranked):,} of {len(answered):,} samples; largest differences first, "
            "equally many from every split",
            sorted(_select(ranked, splits, MAX_COMPARISON_CARDS), key=lambda pair: -abs(pair.gain)),
        )
        for name, ranked in chosen
        if ranked
    ]


def _select(
    ranked: Iterable[SamplePair], splits: Iterable[str], most: int = MAX_CARDS
) -> list[SamplePair]:
    """Take the first pairs of each split in turn, one for each scene, grouped by split."""
    ranked_by_split: dict[str, list[SamplePair]] = {split: [] for split in splits}
    seen = set[str]()
    for pair in ranked:
        own = ranked_by_split[pair.after.split]
        if pair.after.scene not in seen and len(own) < most:
            seen.add(pair.after.scene)
            own.append(pair)
    counts = dict.fromkeys(ranked_by_split, 0)
    while sum(counts.values()) < min(most, sum(map(len, ranked_by_split.values()))):
        available = [
            split for split in ranked_by_split if counts[split] < len(ranked_by_split[split])
        ]
        counts[min(available, key=lambda split: counts[split])] += 1
    return [pair for split, own in ranked_by_split.items() for pair in own[: counts[split]]]
