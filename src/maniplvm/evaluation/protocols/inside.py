"""The share of an answer's points that lie in the target: what several protocols measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.measure import share
from maniplvm.evaluation.protocols.protocol import Answered, Measured
from maniplvm.tasks import BoxTarget, RegionTarget, Sample

INSIDE = share("inside", "share of an answer's points in the target box, polygons or mask")


def inside(read: Sequence[Answered]) -> Measured:
    """`inside` of point answers, `(B,)`; a point on the boundary is inside."""
    shares = [region_of(each.sample).contains(each.answer).mean() for each in read]
    return {INSIDE.name: np.array(shares, dtype=np.float64)}


def region_of(sample: Sample) -> RegionTarget:
    """Where a point answers a sample: its region, or its box.

    Raises:
        ValueError: a trace is asked for.
    """
    target = sample.target
    if isinstance(target, RegionTarget):
        return target
    if isinstance(target, BoxTarget):
        return RegionTarget.of_boxes([target.xyxy])
    raise ValueError(f"sample {sample.id}: no point answers a trace")
