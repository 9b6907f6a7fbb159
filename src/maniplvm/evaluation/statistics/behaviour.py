"""What accompanies the protocol's measures: does the reasoning mean it, how sure is the policy?"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from maniplvm.evaluation.scored import ScoredSample
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.geometry import discrete_frechet, hausdorff, iou, startpoint_distance
from maniplvm.tasks import Task
from maniplvm.tasks.parsing.blocks import read_blocks

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


def part_named(samples: Sequence[ScoredSample], seed: int = 0) -> Interval | None:
    """Share of completions whose reasoning names the part to touch, word for word.

    Case, punctuation and articles do not count. A completion without reasoning names nothing.
    """
    known = [sample for sample in samples if sample.part]
    if not known:
        return None
    named = [_names(read_blocks(s.text, len(s.text)).reasoning or "", s.part or "") for s in known]
    return bootstrap_mean(named, groups=[sample.scene for sample in known], seed=seed)


def diversity(samples: Sequence[ScoredSample], seed: int = 0) -> Interval | None:
    """How far the answers to one sample lie apart: the mean over its pairs of readable draws.

    Boxes: 1 - IoU. Traces: DFD in diagonals. Points: Hausdorff distance in diagonals. None where no sample has two readable draws.
    """
    draws: dict[str, list[ScoredSample]] = defaultdict(list)
    for sample in samples:
        if sample.answer is not None:
            draws[sample.id].append(sample)
    several = [own for own in draws.values() if len(own) > 1]
    if not several:
        return None
    spread = [np.mean([_apart(*pair) for pair in itertools.combinations(o, 2)]) for o in several]
    return bootstrap_mean(spread, groups=[own[0].scene for own in several], seed=seed)


def area_ratio(samples: Sequence[ScoredSample]) -> float | None:
    """Median of predicted by true area of the boxes that could be read: 1 is the right size."""
    read = [sample for sample in samples if _is_read(sample, Task.AFFORDANCE)]
    if not read:
        return None
    said, right = (_areas([getattr(s, side) for s in read]) for side in ("answer", "target"))
    return float(np.median(said / right))


def length_ratio(samples: Sequence[ScoredSample]) -> float | None:
    """Median of said by true length of the traces that could be read: below 1 they cut corners."""
    ratios = [_length(said) / true for said, right in _traces(samples) if (true := _length(right))]
    return float(np.median(ratios)) if ratios else None


def start_diagonal(samples: Sequence[ScoredSample]) -> float | None:
    """Median distance of the first points of readable traces from where they belong, in diagonals.

    No measure of the paper's looks there: it has a term for the end alone.
    """
    sizes = [np.hypot(*s.image_size) for s in samples if _is_read(s, Task.TRAJECTORY)]
    pairs = list(_traces(samples))
    apart = startpoint_distance([said for said, _ in pairs], [right for _, right in pairs])
    return float(np.median(np.asarray(apart) / sizes)) if pairs else None


def _is_read(sample: ScoredSample, task: Task) -> bool:
    return sample.task is task and sample.answer is not None


def _traces(samples: Sequence[ScoredSample]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for sample in samples:
        if _is_read(sample, Task.TRAJECTORY):
            yield np.array(sample.answer, dtype=np.float64), np.array(sample.target)


def _length(trace: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(trace, axis=0), axis=1).sum())


def _names(reasoning: str, part: str) -> bool:
    return f" {_bare(part)} " in f" {_bare(reasoning)} "


def _bare(text: str) -> str:
    return " ".join(word for word in _WORD.findall(text.lower()) if word not in _ARTICLES)


def _apart(first: ScoredSample, second: ScoredSample) -> float:
    if first.answer is None or second.answer is None:
        raise ValueError("an unreadable answer lies nowhere")
    if first.task is Task.AFFORDANCE:
        return 1.0 - float(iou(first.answer, second.answer))
    gap = hausdorff if first.task is Task.POINTING else discrete_frechet
    distance = gap(first.answer, second.answer)
    return float(distance) / float(np.hypot(*first.image_size))


def _areas(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    corners = np.array(boxes, dtype=np.float64)
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
