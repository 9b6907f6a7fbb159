"""Answers in shares of the image's sides: the best one of many, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
_CANDIDATES = 256
_WITNESSES = 1024
_MEDIAN_POINTS = 8


def shares_of(sample: Sample) -> FloatArray:
    """A sample's target, `(N, 2)` shares of the image's width and height; a region's bounds."""
    return sample.target.points / np.array(sample.image_size, dtype=np.float64)


def best_answer(task: Task, targets: Sequence[FloatArray]) -> FloatArray:
    """The best single answer to samples with these targets.

    Best of the targets and their coordinate-wise median: the box of highest mean IoU with the
    others, the trace of lowest mean DFD to them. Of many targets 256 evenly spread ones are
    candidates, judged by 1024.

    Args:
        task: What the targets answer.
        targets: `(N, 2)` shares each, at least one.
    """
    return _BEST[task](targets)


def written(sample: Sample, shares: FloatArray) -> Prediction:
    """An answer in shares as a completion to a sample, in the frame `unit`.

    Pointing is answered by the middle of the box that the shares span.
    """
    points = shares * np.array(sample.image_size, dtype=np.float64)
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
    Task.POINTING: _best_box,
}


def _spread(values: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many of the values, evenly spread."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]
