"""Protocol `sharerobot-bench` (Ji et al. 2025, RoboBrain): boxes by IoU, traces in 0..1.

Distances are taken after each side of the image was scaled to 1. RMSE pairs the points as they
were written and drops the rest of the longer curve, so it depends on how many were written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.measure import share, sides
from maniplvm.evaluation.protocols.protocol import (
    Answered,
    Habit,
    Measured,
    Protocol,
    Reads,
    TaskProtocol,
)
from maniplvm.geometry import iou, trace_distances
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Task


def _boxes(read: Sequence[Answered]) -> Measured:
    targets = np.stack([each.sample.target.points.reshape(4) for each in read])
    return {"iou": iou(np.stack([each.answer for each in read]), targets)}


def _traces(read: Sequence[Answered]) -> Measured:
    sizes = [np.array(each.sample.image_size, dtype=np.float64) for each in read]
    answers = [each.answer / size for each, size in zip(read, sizes, strict=True)]
    targets = [each.sample.target.points / size for each, size in zip(read, sizes, strict=True)]
    gaps = trace_distances(answers, targets)
    truncated = [_truncated_rmse(*pair) for pair in zip(answers, targets, strict=True)]
    return {"dfd_unit": gaps.dfd, "hd_unit": gaps.hd, "rmse_unit": np.array(truncated)}


def _truncated_rmse(first: FloatArray, second: FloatArray) -> float:
    shorter = min(len(first), len(second))
    return float(np.sqrt(((first[:shorter] - second[:shorter]) ** 2).sum(axis=1).mean()))


SHAREROBOT_BENCH = Protocol(
    "sharerobot-bench",
    {
        Task.AFFORDANCE: TaskProtocol(
            Reads.BOX,
            _boxes,
            (share("iou", 'intersection over union of the two boxes (its "AP")'),),
            Habit.LEFT_OUT,
            ("iou",),
        ),
        Task.TRAJECTORY: TaskProtocol(
            Reads.TRACE,
            _traces,
            (
                sides("dfd_unit", "discrete Frechet distance"),
                sides("hd_unit", "Hausdorff distance of the vertices"),
                sides("rmse_unit", "RMSE of the points as written, up to the shorter curve"),
            ),
            Habit.LEFT_OUT,
            ("dfd_unit", "hd_unit", "rmse_unit"),
        ),
    },
)
