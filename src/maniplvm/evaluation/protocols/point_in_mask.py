"""Protocol `point-in-mask`: the share of an answer's points inside the target mask.

It follows RoboPoint's Where2Place (Yuan et al. 2024) and RoboAfford-Eval (Tang et al. 2025). The
figure is the mean over the lines of a predictions file. An answer without points counts as 0, a box
counts as its centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import share
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.tasks import BoxTarget, RegionTarget, Sample, Task

INSIDE = share("inside", "share of an answer's points in the target box, polygons or mask")


def inside(answered: Sequence[AnsweredSample]) -> MeasureValues:
    """`inside` of point answers, `(B,)`; a point on the boundary is inside."""
    shares = [region_of(each.sample).contains(each.answer).mean() for each in answered]
    return {INSIDE.name: np.array(shares, dtype=np.float64)}


def region_of(sample: Sample) -> RegionTarget:
    """The region of a sample's target: the region itself, or its box.

    Raises:
        ValueError: the target is a trace.
    """
    target = sample.target
    if isinstance(target, RegionTarget):
        return target
    if isinstance(target, BoxTarget):
        return RegionTarget.of_boxes([target.xyxy])
    raise ValueError(f"sample {sample.id}: a trace target has no region")


INSIDE_PROTOCOL = TaskProtocol(
    AnswerType.POINTS_OR_BOX, inside, (INSIDE,), UnreadablePolicy.COUNTED_AS_WORST, ("inside",)
)
"""Points or the centre of a box, measured by `inside`."""

POINT_IN_MASK = Protocol(
    "point-in-mask",
    {Task.AFFORDANCE: INSIDE_PROTOCOL, Task.POINTING: INSIDE_PROTOCOL},
    may_be_partial=True,
)
