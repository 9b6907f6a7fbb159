"""Protocol `sharerobot-bench` (Ji et al. 2025, RoboBrain): IoU of boxes, trace distances in 0..1.

Distances are computed after each side of the image is scaled to 1. RMSE pairs the points as written
and drops the rest of the longer curve. It therefore depends on the number of points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import share, sides
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.geometry import iou, trace_distances
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Task


def _boxes(answered: Sequence[AnsweredSample]) -> MeasureValues:
    targets = np.stack([each.sample.target.points.reshape(4) for each in answered])
    return {"iou": iou(np.stack([each.answer for each in answered]), targets)}


def _traces(answered: Sequence[AnsweredSample]) -> MeasureValues:
    sizes = [np.array(each.sample.image_size, dtype=np.float64) for each in answered]
    answers = [each.answer / size for each, size in zip(answered, sizes, strict=True)]
    targets = [each.sample.target.points / size for each, size in zip(answered, sizes, strict=True)]
    distances = trace_distances(answers, targets)
    truncated = [_truncated_rmse(*pair) for pair in zip(answers, targets, strict=True)]
    return {"dfd_unit": distances.dfd, "hd_unit": distances.hd, "rmse_unit": np.array(truncated)}


def _truncated_rmse(first: FloatArray, second: FloatArray) -> float:
    shorter = min(len(first), len(second))
    return float(np.sqrt(((first[:shorter] - second[:shorter]) ** 2).sum(axis=1).mean()))


SHAREROBOT_BENCH = Protocol(
    "sharerobot-bench",
    {
        Task.AFFORDANCE: TaskProtocol(
            AnswerType.BOX,
            _boxes,
            (share("iou", 'intersection over union of the two boxes (its "AP")'),),
            UnreadablePolicy.LEFT_OUT,
            ("iou",),
        ),
        Task.TRAJECTORY: TaskProtocol(
            AnswerType.TRACE,
            _traces,
            (
                sides("dfd_unit", "discrete Frechet distance"),
                sides("hd_unit", "Hausdorff distance of the vertices"),
                sides("rmse_unit", "RMSE of the points as written, up to the shorter curve"),
            ),
            UnreadablePolicy.LEFT_OUT,
            ("dfd_unit", "hd_unit", "rmse_unit"),
        ),
    },
)
