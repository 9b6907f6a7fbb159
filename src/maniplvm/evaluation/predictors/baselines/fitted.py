"""Baselines that are fitted to the targets of a split, and the best constant answer.

Answers are fractions of the image's width and height, so that they fit images of every size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.geometry import iou, resample, trace_distances
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import resolve_frame
from maniplvm.tasks import (
    BoxTarget,
    RegionTarget,
    Sample,
    Target,
    Task,
    TraceTarget,
    write_completion,
)
from maniplvm.tasks.parsing.reading import POINT_RANGE

_FRAME = "unit"
_REASONING = "the same whatever the image shows"
_MAX_CANDIDATES = 256
_MAX_SCORED = 1024
_MEDIAN_POINTS = 8


class FittedBaseline(ABC):
    """A predictor that is fitted to the targets of a stored split, and uses no image.

    It is fitted at the first prediction.
    """

    def __init__(self, data: str, split: str) -> None:
        """Set the split to fit to.

        Args:
            data: A stored data set.
            split: The name of its split.
        """
        self._data, self._split = data, split

    @property
    def draws(self) -> int:
        """One completion of each sample."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """The data set and split that it is fitted to."""
        return {"baseline_data": f"{self._data}:{self._split}"}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """The fitted answer of each sample.

        Raises:
            UserError: the split has no sample of a task.
        """
        for sample in samples:
            answer = self._answer(sample)
            if answer is None:
                raise UserError(
                    f"{self._data}: split {self._split} has no {sample.task} sample to fit to"
                )
            yield as_prediction(sample, answer)

    @abstractmethod
    def _answer(self, sample: Sample) -> FloatArray | None:
        """The answer `(N, 2)` [fractions of the image's sides]; None without data of the task."""

    def _targets(self) -> Iterator[tuple[Sample, FloatArray]]:
        """Every sample of the split, without its image, and its target in fractions."""
        for sample in open_dataset(Path(self._data)).samples(self._split, images=False):
            yield sample, sample.target.points / np.array(sample.image_size, dtype=np.float64)


class ConstantBaseline(FittedBaseline):
    """One constant box and one constant trace: the best ones for the targets of a split.

    See `best_answer` for how the constants are chosen.
    """

    def __init__(self, data: str, split: str, per_category: bool = False) -> None:
        """Set the split to fit to.

        Args:
            data: A stored data set.
            split: The name of its split.
            per_category: Whether each category has its own constant. An unknown category gets the
                overall constant.
        """
        super().__init__(data, split)
        self._per_category = per_category

    @property
    def name(self) -> str:
        """The name on the command line."""
        return "baseline:constant-per-task" if self._per_category else "baseline:constant"

    def _answer(self, sample: Sample) -> FloatArray | None:
        overall = self._constants.get((sample.task, None))
        return self._constants.get((sample.task, sample.category), overall)

    @cached_property
    def _constants(self) -> dict[tuple[Task, str | None], FloatArray]:
        targets: dict[tuple[Task, str | None], list[FloatArray]] = {}
        for sample, target in self._targets():
            targets.setdefault((sample.task, None), []).append(target)
            if self._per_category and sample.category is not None:
                targets.setdefault((sample.task, sample.category), []).append(target)
        return {key: best_answer(key[0], own) for key, own in targets.items()}


def parse_split(text: str) -> tuple[str, str]:
    """The data set and the split of `DIR:SPLIT`.

    Raises:
        UserError: it has another form.
    """
    data, _, split = text.rpartition(":")
    if not data or not split:
        raise UserError(
            f"--baseline-data {text}: expected DIR:SPLIT, such as datasets/kitchen:train"
        )
    return data, split


def best_answer(task: Task, targets: Sequence[FloatArray]) -> FloatArray:
    """The best single answer for samples with these targets.

    The candidates are the targets and their coordinate-wise median. The best box has the highest
    mean IoU with the targets, the best trace the lowest mean DFD. With many targets, 256 evenly
    spaced ones are candidates, and 1024 evenly spaced ones score them.

    Args:
        task: The task of the targets.
        targets: At least one array `(N, 2)` [fractions of the image's sides].
    """
    return _BEST[task](targets)


def as_prediction(sample: Sample, answer: FloatArray) -> Prediction:
    """An answer as a completion of a sample, in the frame `unit`.

    A pointing sample gets the centre of the box that the answer spans.

    Args:
        sample: The sample.
        answer: `(N, 2)` [fractions of the image's sides].
    """
    points = answer * np.array(sample.image_size, dtype=np.float64)
    frame = resolve_frame(_FRAME, sample.image_size)
    completion = write_completion(_target(sample.task, points), frame, _REASONING)
    return Prediction(sample.id, completion, _FRAME)


def _target(task: Task, points: FloatArray) -> Target:
    if task is Task.TRAJECTORY:
        return TraceTarget(points)
    box = points.reshape(4)
    return BoxTarget(box) if task is Task.AFFORDANCE else RegionTarget.of_boxes([box])


def _best_box(targets: Sequence[FloatArray]) -> FloatArray:
    boxes = np.stack(targets).reshape(-1, 4)
    median = np.median(boxes, axis=0)[None]
    candidates = np.concatenate([_evenly_spaced(boxes, _MAX_CANDIDATES), median])
    overlap = iou(candidates[:, None], _evenly_spaced(boxes, _MAX_SCORED)[None]).mean(axis=1)
    return candidates[int(overlap.argmax())].reshape(2, 2)


def _best_trace(targets: Sequence[FloatArray]) -> FloatArray:
    indices = np.arange(len(targets))
    median = np.median(np.stack([resample(t, _MEDIAN_POINTS) for t in targets]), axis=0)
    fewest, most = POINT_RANGE
    valid = np.array([i for i in indices if fewest <= len(targets[i]) <= most], int)
    candidates = [*(targets[i] for i in _evenly_spaced(valid, _MAX_CANDIDATES)), median]
    scored = [targets[i] for i in _evenly_spaced(indices, _MAX_SCORED)]
    cost = [
        float(trace_distances([candidate] * len(scored), scored).dfd.mean())
        for candidate in candidates
    ]
    return candidates[int(np.argmin(cost))]


_BEST: Mapping[Task, Callable[[Sequence[FloatArray]], FloatArray]] = {
    Task.AFFORDANCE: _best_box,
    Task.TRAJECTORY: _best_trace,
    Task.POINTING: _best_box,
}


def _evenly_spaced(values: NDArray[Any], most: int) -> NDArray[Any]:
    """At most this many of the values, evenly spaced."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]
