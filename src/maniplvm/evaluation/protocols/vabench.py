"""Protocol `vabench` (Yuan et al. 2025, Embodied-R1): points in a box or mask, traces in pixels.

A box that is given where a point was wanted counts as its centre. RMSE and MAE (the mean distance)
pair 20 points at equal arc length of each curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.inside import INSIDE, inside
from maniplvm.evaluation.protocols.measure import pixels
from maniplvm.evaluation.protocols.protocol import (
    Answered,
    Habit,
    Measured,
    Protocol,
    Reads,
    TaskProtocol,
)
from maniplvm.geometry import resample
from maniplvm.tasks import Task


def _traces(read: Sequence[Answered]) -> Measured:
    answers = resample([each.answer for each in read])
    targets = resample([each.sample.target.points for each in read])
    gaps = np.linalg.norm(answers - targets, axis=-1)
    return {"rmse": np.sqrt((gaps**2).mean(axis=1)), "mae": gaps.mean(axis=1)}


_POINTS = TaskProtocol(Reads.POINTS_OR_BOX, inside, (INSIDE,), Habit.COUNTED, ("inside",))

VABENCH = Protocol(
    "vabench",
    {
        Task.AFFORDANCE: _POINTS,
        Task.POINTING: _POINTS,
        Task.TRAJECTORY: TaskProtocol(
            Reads.TRACE,
            _traces,
            (
                pixels("rmse", "RMSE over 20 points at equal arc length"),
                pixels("mae", "mean distance over 20 points at equal arc length"),
            ),
            Habit.LEFT_OUT,
            ("rmse", "mae"),
        ),
    },
    may_be_partial=True,
)
