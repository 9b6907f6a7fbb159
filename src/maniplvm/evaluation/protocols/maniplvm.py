"""Protocol `maniplvm`: the paper's protocol (Song et al. 2025), with pointing added.

It measures mean IoU, DFD, Hausdorff distance, RMSE over 20 points, and the mean of the three
distances. The paper's published code averages over parsed answers only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import diagonals, pixels, share, thousandths
from maniplvm.evaluation.protocols.point_in_mask import INSIDE, inside
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.geometry import iou, trace_distances
from maniplvm.tasks import Task

SUCCESS_IOU = 0.5
"""A box is a success above this IoU."""
SUCCESS_END_PX = 20.0
"""A trace is a success if its end is closer than this to the target's end [px]."""
_THOUSAND = 1000.0
_DISTANCES = {
    "dfd": "discrete Frechet distance",
    "hd": "Hausdorff distance of the vertices",
    "rmse": "RMSE over 20 points at equal arc length",
    "avg": "mean of DFD, HD and RMSE",
}


def _boxes(answered: Sequence[AnsweredSample]) -> MeasureValues:
    targets = np.stack([each.sample.target.points.reshape(4) for each in answered])
    overlap = iou(np.stack([each.answer for each in answered]), targets)
    return {"iou": overlap, "success": (overlap > SUCCESS_IOU).astype(float)}


def _traces(answered: Sequence[AnsweredSample]) -> MeasureValues:
    answers, targets = [e.answer for e in answered], [e.sample.target.points for e in answered]
    scales = [_THOUSAND / np.array(each.sample.image_size, dtype=np.float64) for each in answered]
    in_pixels = trace_distances(answers, targets)
    scaled = trace_distances(
        [answer * scale for answer, scale in zip(answers, scales, strict=True)],
        [target * scale for target, scale in zip(targets, scales, strict=True)],
    )
    return {
        "dfd": in_pixels.dfd,
        "hd": in_pixels.hd,
        "rmse": in_pixels.rmse,
        "avg": (in_pixels.dfd + in_pixels.hd + in_pixels.rmse) / 3,
        "end": in_pixels.end,
        "dfd_1000": scaled.dfd,
        "hd_1000": scaled.hd,
        "rmse_1000": scaled.rmse,
        "avg_1000": (scaled.dfd + scaled.hd + scaled.rmse) / 3,
        "dfd_diagonal": in_pixels.dfd / np.array([each.sample.diagonal for each in answered]),
        "success": (in_pixels.end < SUCCESS_END_PX).astype(float),
    }


MANIPLVM = Protocol(
    "maniplvm",
    {
        Task.AFFORDANCE: TaskProtocol(
            AnswerType.BOX,
            _boxes,
            (
                share("iou", "intersection over union of the two boxes"),
                share("success", f"boxes with IoU above {SUCCESS_IOU:g}"),
            ),
            UnreadablePolicy.LEFT_OUT,
            ("iou", "success"),
        ),
        Task.TRAJECTORY: TaskProtocol(
            AnswerType.TRACE,
            _traces,
            (
                *(pixels(name, meaning) for name, meaning in _DISTANCES.items()),
                pixels("end", "distance of the last points"),
                *(thousandths(f"{name}_1000", meaning) for name, meaning in _DISTANCES.items()),
                diagonals("dfd_diagonal", _DISTANCES["dfd"]),
                share("success", f"traces that end less than {SUCCESS_END_PX:g} px off"),
            ),
            UnreadablePolicy.LEFT_OUT,
            ("dfd_diagonal", "success"),
        ),
        Task.POINTING: TaskProtocol(
            AnswerType.POINTS, inside, (INSIDE,), UnreadablePolicy.LEFT_OUT, ("inside",)
        ),
    },
)
