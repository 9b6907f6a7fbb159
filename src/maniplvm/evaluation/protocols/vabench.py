"""Protocol `vabench` (Yuan et al. 2025, Embodied-R1): points in a box or mask, traces in pixels.

A box instead of points counts as its centre. RMSE and MAE (the mean distance) pair 20 points at equal
arc length of each curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import pixels
from maniplvm.evaluation.protocols.point_in_mask import INSIDE_PROTOCOL
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.geometry import resample
from maniplvm.tasks import Task


def _traces(answered: Sequence[AnsweredSample]) -> MeasureValues:
    answers = resample([each.answer for each in answered])
    targets = resample([each.sample.target.points for each in answered])
    distances = np.linalg.norm(answers - targets, axis=-1)
    return {"rmse": np.sqrt((distances**2).mean(axis=1)), "mae": distances.mean(axis=1)}


VABENCH = Protocol(
    "vabench",
    {
        Task.AFFORDANCE: INSIDE_PROTOCOL,
        Task.POINTING: INSIDE_PROTOCOL,
        Task.TRAJECTORY: TaskProtocol(
            AnswerType.TRACE,
            _traces,
            (
                pixels("rmse", "RMSE over 20 points at equal arc length"),
                pixels("mae", "mean distance over 20 points at equal arc length"),
            ),
            UnreadablePolicy.LEFT_OUT,
            ("rmse", "mae"),
        ),
    },
    may_be_partial=True,
)
