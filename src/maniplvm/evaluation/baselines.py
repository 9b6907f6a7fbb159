"""Baselines that look at no picture: what an answer is worth that everybody could give."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.predictions import Prediction
from maniplvm.geometry import iou, resample, trace_distances
from maniplvm.geometry.frames import resolve_frame
from maniplvm.tasks import BoxTarget, Sample, Target, Task, TraceTarget, write_completion
from maniplvm.tasks.answers import POINT_RANGE

FloatArray: TypeAlias = NDArray[np.float64]

PREFIX = "baseline:"
BASELINES = ("constant", "constant-per-task", "random")
"""What may stand after `baseline:`."""

_FRAME = "unit"
_REASONING = "the same whatever the picture shows"
_CANDIDATES = 256
_WITNESSES = 1024
_MEDIAN_POINTS = 8
_RANDOM_POINTS = 5


class ConstantBaseline:
    """Always the same box and the same trace: the best single ones of a teaching split.

    Best of the split's own targets and their coordinate-wise median, all in shares of the
    picture's sides: the box of highest mean IoU with the others, the trace of lowest mean DFD to
    them. Of a large split 256 evenly spread candidates are judged by 1024 evenly spread targets.
    """

    def __init__(self, data: str, split: str, per_category: bool = False) -> None:
        """Name a teaching split.

        Args:
            data: A stored data set.
            split: Its split.
            per_category: One constant for each category; an unknown one gets the overall constant.
        """
        self._data, self._split, self._per_category = data, split, per_category

    @property
    def name(self) -> str:
        """As on the command line."""
        return PREFIX + (BASELINES[1] if self._per_category else BASELINES[0])

    @property
    def draws(self) -> int:
        """One."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """Where its constants come from."""
        return {"baseline_data": f"{self._data}:{self._split}"}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """The constant of each sample's task.

        Raises:
            UserError: the teaching split holds no sample of a task.
        """
        for sample in samples:
            overall = self._constants.get((sample.task, None))
            if overall is None:
                raise UserError(f"{self._data}: split {self._split} teaches no {sample.task}")
            yield _written(sample, self._constants.get((sample.task, sample.category), overall))

    @cached_property
    def _constants(self) -> dict[tuple[Task, str | None], FloatArray]:
        taught: dict[tuple[Task, str | None], list[FloatArray]] = {}
        for sample in open_dataset(Path(self._data)).samples(self._split, images=False):
            shares = sample.target.points / np.array(sample.image_size, dtype=np.float64)
            taught.setdefault((sample.task, None), []).append(shares)
            if self._per_category and sample.category is not None:
                taught.setdefault((sample.task, sample.category), []).append(shares)
        return {key: _BEST[key[0]](targets) for key, targets in taught.items()}


class RandomBaseline:
    """Boxes between two places anywhere, and straight traces from anywhere to anywhere."""

    def __init__(self, seed: int = 0) -> None:
        """Seed it; an answer depends on the seed and the sample's id alone."""
        self._seed = seed

    @property
    def name(self) -> str:
        """As on the command line."""
        return PREFIX + BASELINES[2]

    @property
    def draws(self) -> int:
        """One."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """The seed."""
        return {"seed": self._seed}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One answer a sample."""
        for sample in samples:
            rng = np.random.default_rng([self._seed, zlib.crc32(sample.id.encode())])
            places = rng.random((2, 2))
            if sample.task is Task.AFFORDANCE:
                yield _written(sample, np.sort(places, axis=0))
            else:
                yield _written(sample, np.linspace(places[0], places[1], _RANDOM_POINTS))


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


def _best_box(targets: Sequence[FloatArray]) -> FloatArray:
    boxes = np.stack(targets).reshape(-1, 4)
    candidates = np.concatenate([_spread(boxes, _CANDIDATES), np.median(boxes, axis=0)[None]])
    worth = iou(candidates[:, None], _spread(boxes, _WITNESSES)[None]).mean(axis=1)
    return candidates[int(worth.argmax())].reshape(2, 2)


def _best_trace(targets: Sequence[FloatArray]) -> FloatArray:
    evenly = np.arange(len(targets))
    median = np.median(np.stack([resample(t, _MEDIAN_POINTS) for t in targets]), axis=0)
    fewest, most = POINT_RANGE
    sayable = [index for index in evenly if fewest <= len(targets[index]) <= most]
    candidates = [*(targets[i] for i in _spread(np.array(sayable, int), _CANDIDATES)), median]
    witnesses = [targets[i] for i in _spread(evenly, _WITNESSES)]
    cost = [
        float(trace_distances([candidate] * len(witnesses), witnesses).dfd.mean())
        for candidate in candidates
    ]
    return candidates[int(np.argmin(cost))]


_BEST: Mapping[Task, Callable[[Sequence[FloatArray]], FloatArray]] = {
    Task.AFFORDANCE: _best_box,
    Task.TRAJECTORY: _best_trace,
}


def _spread(values: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many of the values, evenly spread."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]


def _written(sample: Sample, shares: FloatArray) -> Prediction:
    points = shares * np.array(sample.image_size, dtype=np.float64)
    target: Target = (
        BoxTarget(points.reshape(4)) if sample.task is Task.AFFORDANCE else TraceTarget(points)
    )
    frame = resolve_frame(_FRAME, sample.image_size)
    return Prediction(sample.id, write_completion(target, frame, _REASONING), _FRAME)
