"""Protocol `point-in-mask`: the share of an answer's points inside the mask.

As RoboPoint's Where2Place (Yuan et al. 2024) and RoboAfford-Eval (Tang et al. 2025) count: the mean
over the lines of a predictions file, an answer without points counts as 0. A box that is given where
points were wanted counts as its centre.
"""

from __future__ import annotations

from maniplvm.evaluation.protocols.inside import INSIDE, inside
from maniplvm.evaluation.protocols.protocol import Habit, Protocol, Reads, TaskProtocol
from maniplvm.tasks import Task

_POINTS = TaskProtocol(Reads.POINTS_OR_BOX, inside, (INSIDE,), Habit.COUNTED, ("inside",))

POINT_IN_MASK = Protocol(
    "point-in-mask",
    {Task.AFFORDANCE: _POINTS, Task.POINTING: _POINTS},
    may_be_partial=True,
)
