"""Traces: the expert's dense path, simplified to a few waypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.simplify import simplify
from maniplvm.simulation.labels.affordance import TouchedPart
from maniplvm.simulation.labels.demonstrations import Demonstration
from maniplvm.tasks.parsing.reading import POINT_RANGE

FEWEST, MOST = POINT_RANGE
SWITCH = 0.05
"""Minimum change of the gripper command that counts as a switch."""
_MAX_SETTLING_STEPS = 30
_MAX_DESCENT = 0.004
_MIN_GAP = 3


@dataclass(frozen=True, eq=False)
class Waypoints:
    """The simplified path of the gripper's contact point.

    Attributes:
        steps: `(N,)` index of each waypoint on the demonstration's path.
        points: `(N, 3)` [m, world].
        gripper: `(N,)` gripper command from each waypoint on, -1 open to 1 closed.
        offset: `(3,)` from the end effector to the traced point [m, world axes].
    """

    steps: NDArray[np.int64]
    points: FloatArray
    gripper: FloatArray
    offset: FloatArray


def waypoints(demonstration: Demonstration, part: TouchedPart | None) -> Waypoints:
    """Simplify a demonstration to 3 to 10 waypoints.

    Start, first contact, gripper switches and end are always waypoints. The simplification then
    adds the point that deviates most from the straight segments, until no point deviates more
    than 1 cm. The traced point is the gripper's contact point: the finger tips for a grasp, the
    palm or a knuckle for a push. The trace therefore runs through the part.

    Args:
        demonstration: A demonstration of at least two steps.
        part: The touched part, if any.
    """
    offset = np.zeros(3) if part is None else part.offset
    path = demonstration.path + offset
    last = demonstration.steps
    switches = _switches(demonstration.gripper)
    settled = {step: _settled(demonstration, step, switches) for step in switches}
    anchors = [0, last, *(step for step in settled.values() if step < last)]
    if part is not None:
        anchors.append(min(part.first_step, last))
    anchors = _with_min_gap(sorted(set(anchors)), last)
    steps = simplify(path, max_points=MOST, min_points=FEWEST, anchors=anchors)
    return Waypoints(
        steps=np.array(steps),
        points=path[steps],
        gripper=np.array([_command_from(step, demonstration.gripper, settled) for step in steps]),
        offset=offset,
    )


def _switches(gripper: FloatArray) -> list[int]:
    """Path indices after which the gripper command changes."""
    return [int(step) for step in np.flatnonzero(np.abs(np.diff(gripper)) > SWITCH) + 1]


def _settled(demonstration: Demonstration, step: int, switches: list[int]) -> int:
    """The step at which the closing fingers touch while the hand rests, or the slowest step.

    An opening gripper needs no pause.
    """
    gripper, path = demonstration.gripper, demonstration.path
    if gripper[step] < gripper[step - 1]:
        return step
    later = [other for other in switches if other > step]
    end = min([demonstration.steps, step + _MAX_SETTLING_STEPS, *(other - 1 for other in later)])
    for contact in np.unique(demonstration.contacts.step):
        if step < contact < end and path[contact, 2] - path[contact + 1, 2] < _MAX_DESCENT:
            return int(contact)
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1)[step:end]
    return step + int(np.argmin(speed)) if len(speed) else step


def _with_min_gap(anchors: list[int], last: int) -> list[int]:
    kept = [anchors[0]]
    for step in anchors[1:-1]:
        if step - kept[-1] >= _MIN_GAP and last - step >= _MIN_GAP:
            kept.append(step)
    while len(kept) > MOST - 1:
        kept.pop(len(kept) // 2)
    return [*kept, last]


def _command_from(step: int, gripper: FloatArray, settled: dict[int, int]) -> float:
    command = float(gripper[0])
    for switch, when in settled.items():
        if step >= when - _MIN_GAP + 1:
            command = float(gripper[switch])
    return command
