"""Metrics of each answer, and position and size of its target, for every protocol.

The charts of the error analysis use these arrays. They are computed from the answers and targets of
`samples.jsonl`, so the charts have the same meaning under every protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.evaluation.protocols import SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.records import Numbers, ScoredSample
from maniplvm.evaluation.report.folders import ModelEvaluation
from maniplvm.geometry import iou, trace_distances
from maniplvm.geometry.arrays import BoolArray, FloatArray
from maniplvm.tasks import RegionTarget, Task, parse_answer
from maniplvm.tasks.sample import Target


@dataclass(frozen=True)
class SampleMetrics:
    """Metrics of the N answers of one model to one task. An unparsed answer has the worst value.

    Attributes:
        splits: `(N,)` split of each sample.
        scenes: `(N,)` scene of each sample, the unit of the bootstrap.
        threshold_values: `(N,)` value that success curves compare with a threshold: IoU of a box,
            fraction of points inside, or distance between the ends of two traces relative to the
            image diagonal (infinite for an unparsed answer).
        score: `(N,)` IoU of a box, fraction of points inside, or Fréchet distance of a trace
            relative to the diagonal (1 for an unparsed answer).
        success: `(N,)` whether the answer is a success.
        centre: `(N, 2)` centre of the target's bounds relative to width and height, 0 to 1.
        size: `(N,)` size of the target's bounds: area relative to the image area, for a trace the
            diagonal relative to the image diagonal.
        reasoning_length: `(N,)` length of the reasoning [characters].
        aspect_ratio: Median of height over width of the images.
        diagonal: Diagonal of the images [px], None if they differ.
    """

    splits: tuple[str, ...]
    scenes: tuple[str, ...]
    threshold_values: FloatArray
    score: FloatArray
    success: BoolArray
    centre: FloatArray
    size: FloatArray
    reasoning_length: FloatArray
    aspect_ratio: float
    diagonal: float | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    def in_split(self, split: str | None) -> BoolArray:
        """`(N,)` bool: which answers are of a split. None selects all."""
        if split is None:
            return np.ones(len(self), dtype=np.bool_)
        return np.array([own == split for own in self.splits], dtype=np.bool_)

    def scenes_of(self, rows: BoolArray) -> list[str]:
        """The scenes of selected answers."""
        return [scene for scene, is_taken in zip(self.scenes, rows, strict=True) if is_taken]


def compute_sample_metrics(evaluation: ModelEvaluation, task: Task) -> SampleMetrics | None:
    """Compute the metrics of one task, or None if the evaluation has no such task."""
    records = [record for record in evaluation.samples if record.task is task]
    if not records:
        return None
    sizes = np.array([record.image_size for record in records], dtype=np.float64)
    bounds = np.array([target_bounds(record.target) for record in records])
    spans = bounds[:, 2:] - bounds[:, :2]
    scored_as = scoring_task(evaluation, task)
    threshold_values, score, success = _METRICS_BY_TASK[scored_as](records, np.hypot(*sizes.T))
    share = (
        np.hypot(*spans.T) / np.hypot(*sizes.T)
        if task is Task.TRAJECTORY
        else spans.prod(axis=1) / sizes.prod(axis=1)
    )
    return SampleMetrics(
        tuple(record.split for record in records),
        tuple(record.scene for record in records),
        threshold_values,
        score,
        success,
        (bounds[:, :2] + bounds[:, 2:]) / 2 / sizes,
        share,
        np.array([len(reasoning_of(record)) for record in records], dtype=np.float64),
        float(np.median(sizes[:, 1] / sizes[:, 0])),
        float(np.hypot(*sizes[0])) if (sizes == sizes[0]).all() else None,
    )


def scoring_task(evaluation: ModelEvaluation, task: Task) -> Task:
    """The task whose metrics apply: `POINTING` if the protocol parses points, else the task."""
    own = next((record for record in evaluation.samples if record.task is task), None)
    return Task.POINTING if own is not None and "inside" in own.measures else task


def reasoning_of(record: ScoredSample) -> str:
    """The reasoning before the answer, empty without a reasoning block."""
    return (parse_answer(record.text, record.task).reasoning or "").strip()


def target_bounds(target: Any) -> FloatArray:
    """Bounding box of a target of `samples.jsonl`: `(4,)` x1, y1, x2, y2 [px]."""
    points = np.asarray(target, dtype=np.float64).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def matches_target(written: Any, target: Target) -> bool:
    """Whether the target of an evaluation equals that of the dataset. Regions compare by bounds."""
    if isinstance(target, RegionTarget):
        return bool(np.allclose(target_bounds(written), target.bounds, atol=0.01))
    points = np.asarray(written, dtype=np.float64).reshape(-1)
    expected = target.points.reshape(-1)
    return points.size == expected.size and bool(np.allclose(points, expected, atol=0.01))


def scored_answer(record: ScoredSample) -> Numbers | None:
    """The answer that the protocol scored, or None if none was parsed."""
    return record.answer if record.read_as is None else record.read_as


_TaskMetrics = tuple[FloatArray, FloatArray, BoolArray]


def _boxes(records: Sequence[ScoredSample], _: FloatArray) -> _TaskMetrics:
    overlap = np.zeros(len(records))
    parsed = [index for index, record in enumerate(records) if record.answer is not None]
    if parsed:
        answers, targets = (
            np.array([getattr(records[index], name) for index in parsed], dtype=np.float64)
            for name in ("answer", "target")
        )
        overlap[parsed] = iou(answers, targets)
    return overlap, overlap, overlap > SUCCESS_IOU


def _traces(records: Sequence[ScoredSample], diagonals: FloatArray) -> _TaskMetrics:
    end, error = np.full(len(records), np.inf), np.ones(len(records))
    parsed = [index for index, record in enumerate(records) if record.answer is not None]
    if parsed:
        answers, targets = (
            [np.array(getattr(records[index], name), dtype=np.float64) for index in parsed]
            for name in ("answer", "target")
        )
        distances = trace_distances(answers, targets)
        end[parsed], error[parsed] = (
            distances.end / diagonals[parsed],
            distances.dfd / diagonals[parsed],
        )
    return end, error, end * diagonals < SUCCESS_END_PX


def _points(records: Sequence[ScoredSample], _: FloatArray) -> _TaskMetrics:
    inside = np.array([record.measures.get("inside", 0.0) for record in records])
    return inside, inside, inside > 0.5


_METRICS_BY_TASK = {Task.AFFORDANCE: _boxes, Task.TRAJECTORY: _traces, Task.POINTING: _points}

SUCCESS_NAMES: Mapping[Task, str] = {
    Task.AFFORDANCE: f"boxes with IoU over {SUCCESS_IOU:g}".replace("0.", "."),
    Task.TRAJECTORY: f"traces that end within {SUCCESS_END_PX:g} px of the target’s end",
    Task.POINTING: "answers with more than half of their points inside",
}
"""Definition of success for each task, as shown on the page."""
