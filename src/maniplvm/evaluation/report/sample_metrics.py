"""How near each answer came, where its target lies and how large it is, whatever protocol measured it.

The panels that look for patterns work on these arrays. They are taken from the answers and targets
of `samples.jsonl` themselves, so that a page reads alike under every protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maniplvm.evaluation.protocols import SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.overlays.targets import bounds_of
from maniplvm.geometry import iou, trace_distances
from maniplvm.tasks import Task, parse_answer

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """N answers of one task by one model. An answer that could not be read counts as the worst.

    Attributes:
        splits: `(N,)` the samples' splits.
        scenes: `(N,)` what the bootstrap draws.
        nearness: `(N,)` what thresholds are set to: IoU of a box, share of the points inside the
            region, or distance between the ends of two traces as a share of the image's diagonal
            (infinite where nothing could be read).
        score: `(N,)` IoU of a box, share of points inside, or the Fréchet distance of a trace as a
            share of the diagonal (1 where nothing could be read).
        success: `(N,)` whether it counts as done.
        centre: `(N, 2)` middle of the target's bounds as a share of width and height, 0 to 1.
        size: `(N,)` of the target's bounds: area as a share of the image's area, for a trace the
            diagonal as a share of the image's.
        reasoning: `(N,)` characters of the reasoning; 0 without one.
        aspect: Median of height by width of the images.
        diagonal: Of the images [px]; None where they differ.
    """

    splits: tuple[str, ...]
    scenes: tuple[str, ...]
    nearness: FloatArray
    score: FloatArray
    success: BoolArray
    centre: FloatArray
    size: FloatArray
    reasoning: FloatArray
    aspect: float
    diagonal: float | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    def rows(self, split: str | None) -> BoolArray:
        """Which answers are of a split, `(N,)`; all of them for None."""
        if split is None:
            return np.ones(len(self), dtype=np.bool_)
        return np.array([own == split for own in self.splits], dtype=np.bool_)

    def scenes_of(self, rows: BoolArray) -> list[str]:
        """The scenes of some rows."""
        return [scene for scene, is_taken in zip(self.scenes, rows, strict=True) if is_taken]


def judge(measured: Measured, task: Task) -> Judged | None:
    """The arrays of one task; None where it was not asked."""
    records = [record for record in measured.samples if record.task is task]
    if not records:
        return None
    sizes = np.array([record.image_size for record in records], dtype=np.float64)
    bounds = np.array([bounds_of(record.target) for record in records])
    spans = bounds[:, 2:] - bounds[:, :2]
    yardstick = yardstick_of(measured, task)
    nearness, score, success = _JUDGES[yardstick](records, np.hypot(*sizes.T))
    share = (
        np.hypot(*spans.T) / np.hypot(*sizes.T)
        if task is Task.TRAJECTORY
        else spans.prod(axis=1) / sizes.prod(axis=1)
    )
    return Judged(
        tuple(record.split for record in records),
        tuple(record.scene for record in records),
        nearness,
        score,
        success,
        (bounds[:, :2] + bounds[:, 2:]) / 2 / sizes,
        share,
        np.array([len(reasoning_of(record)) for record in records], dtype=np.float64),
        float(np.median(sizes[:, 1] / sizes[:, 0])),
        float(np.hypot(*sizes[0])) if (sizes == sizes[0]).all() else None,
    )


def yardstick_of(measured: Measured, task: Task) -> Task:
    """Whose yardstick fits the answers of a task: `POINTING` where a protocol read points."""
    own = next((record for record in measured.samples if record.task is task), None)
    return Task.POINTING if own is not None and "inside" in own.measures else task


def reasoning_of(record: ScoredSample) -> str:
    """What the model thought before its answer; empty without a block of reasoning."""
    return (parse_answer(record.text, record.task).reasoning or "").strip()


_Judgement = tuple[FloatArray, FloatArray, BoolArray]


def _boxes(records: Sequence[ScoredSample], _: FloatArray) -> _Judgement:
    overlap = np.zeros(len(records))
    read = [index for index, record in enumerate(records) if record.answer is not None]
    if read:
        answers, targets = (
            np.array([getattr(records[index], name) for index in read], dtype=np.float64)
            for name in ("answer", "target")
        )
        overlap[read] = iou(answers, targets)
    return overlap, overlap, overlap > SUCCESS_IOU


def _traces(records: Sequence[ScoredSample], diagonals: FloatArray) -> _Judgement:
    end, error = np.full(len(records), np.inf), np.ones(len(records))
    read = [index for index, record in enumerate(records) if record.answer is not None]
    if read:
        answers, targets = (
            [np.array(getattr(records[index], name), dtype=np.float64) for index in read]
            for name in ("answer", "target")
        )
        found = trace_distances(answers, targets)
        end[read], error[read] = found.end / diagonals[read], found.dfd / diagonals[read]
    return end, error, end * diagonals < SUCCESS_END_PX


def _points(records: Sequence[ScoredSample], _: FloatArray) -> _Judgement:
    inside = np.array([record.measures.get("inside", 0.0) for record in records])
    return inside, inside, inside > 0.5


_JUDGES = {Task.AFFORDANCE: _boxes, Task.TRAJECTORY: _traces, Task.POINTING: _points}

SUCCESS_NAMES: Mapping[Task, str] = {
    Task.AFFORDANCE: f"boxes with IoU over {SUCCESS_IOU:g}".replace("0.", "."),
    Task.TRAJECTORY: f"traces that end within {SUCCESS_END_PX:g} px of the target’s end",
    Task.POINTING: "answers with more than half of their points inside",
}
"""What counts as success."""
