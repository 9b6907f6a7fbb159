"""Targets as `samples.jsonl` holds them: their bounds, whose they are, and what is shown beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from maniplvm.evaluation.records import Numbers, ScoredSample
from maniplvm.tasks import RegionTarget
from maniplvm.tasks.sample import Target

FloatArray = NDArray[np.float64]


def bounds_of(target: Any) -> FloatArray:
    """The tightest box around a target, `(4,)` x1, y1, x2, y2 [px]: of a box, itself."""
    points = np.asarray(target, dtype=np.float64).reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def is_target(written: Any, target: Target) -> bool:
    """Whether an evaluation's target is that of the data set; of a region the bounds decide."""
    if isinstance(target, RegionTarget):
        return bool(np.allclose(bounds_of(written), target.bounds, atol=0.01))
    points = np.asarray(written, dtype=np.float64).reshape(-1)
    held = target.points.reshape(-1)
    return points.size == held.size and bool(np.allclose(points, held, atol=0.01))


def shown_answer(record: ScoredSample) -> Numbers | None:
    """What a protocol measured, or else the answer as the task asks for it; None without one."""
    return record.answer if record.read_as is None else record.read_as
