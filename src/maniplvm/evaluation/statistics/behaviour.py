"""Behaviour statistics beside the protocol's measures: reasoning, diversity, size and start."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry import discrete_frechet, hausdorff, iou, startpoint_distance
from maniplvm.tasks import Task
from maniplvm.tasks.parsing.blocks import read_blocks

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


def part_named(samples: Sequence[ScoredSample], seed: int = 0) -> Interval | None:
    """Share of completions whose reasoning contains the name of the part to touch.

    Case, punctuation and articles are ignored. A completion without reasoning counts as 0.
    """
    known = [sample for sample in samples if sample.part]
    if not known:
        return None
    named = [
        _contains(read_blocks(s.text, len(s.text)).reasoning or "", s.part or "") for s in known
    ]
    return bootstrap_mean(named, groups=[sample.scene for sample in known], seed=seed)


def diversity(samples: Sequence[ScoredSample], seed: int = 0) -> Interval | None:
    """Mean distance between the answers of one sample, over all pairs of its parsed draws.

    The distance of boxes is 1 - IoU, of traces DFD in diagonals, of points the Hausdorff distance in
    diagonals. None if no sample has two parsed draws.
    """
    draws: dict[str, list[ScoredSample]] = defaultdict(list)
    for sample in samples:
        if sample.answer is not None:
            draws[sample.id].append(sample)
    several = [own for own in draws.values() if len(own) > 1]
    if not several:
        return None
    spread = [np.mean([_distance(*pair) for pair in itertools.combinations(o, 2)]) for o in several]
    return bootstrap_mean(spread, groups=[own[0].scene for own in several], seed=seed)


def area_ratio(samples: Sequence[ScoredSample]) -> float | None:
    """Median ratio of predicted to target area, over parsed boxes."""
    read = [sample for sample in samples if _is_parsed(sample, Task.AFFORDANCE)]
    if not read:
        return None
    predicted, target = (_areas([getattr(s, side) for s in read]) for side in ("answer", "target"))
    return float(np.median(predicted / target))


def length_ratio(samples: Sequence[ScoredSample]) -> float | None:
    """Median ratio of predicted to target length, over parsed traces; below 1 they are too short."""
    ratios = [
        _length(predicted) / length
        for predicted, target in _traces(samples)
        if (length := _length(target))
    ]
    return float(np.median(ratios)) if ratios else None


def start_diagonal(samples: Sequence[ScoredSample]) -> float | None:
    """Median distance between predicted and target first point, over parsed traces [diagonals].

    The paper measures only the end point.
    """
    sizes = [np.hypot(*s.image_size) for s in samples if _is_parsed(s, Task.TRAJECTORY)]
    pairs = list(_traces(samples))
    distances = startpoint_distance([first for first, _ in pairs], [own for _, own in pairs])
    return float(np.median(np.asarray(distances) / sizes)) if pairs else None


def _is_parsed(sample: ScoredSample, task: Task) -> bool:
    return sample.task is task and sample.answer is not None


def _traces(samples: Sequence[ScoredSample]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for sample in samples:
        if _is_parsed(sample, Task.TRAJECTORY):
            yield np.array(sample.answer, dtype=np.float64), np.array(sample.target)


def _length(trace: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(trace, axis=0), axis=1).sum())


def _contains(reasoning: str, part: str) -> bool:
    return f" {_normalized(part)} " in f" {_normalized(reasoning)} "


def _normalized(text: str) -> str:
    return " ".join(word for word in _WORD.findall(text.lower()) if word not in _ARTICLES)


def _distance(first: ScoredSample, second: ScoredSample) -> float:
    if first.answer is None or second.answer is None:
        raise ValueError("an answer that was not parsed has no distance")
    if first.task is Task.AFFORDANCE:
        return 1.0 - float(iou(first.answer, second.answer))
    metric = hausdorff if first.task is Task.POINTING else discrete_frechet
    distance = metric(first.answer, second.answer)
    return float(distance) / float(np.hypot(*first.image_size))


def _areas(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    corners = np.array(boxes, dtype=np.float64)
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
