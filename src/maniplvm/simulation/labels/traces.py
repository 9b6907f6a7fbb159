"""From an expert's dense path to a few waypoints that a person would draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.simplify import simplify
from maniplvm.simulation.labels.affordance import Part
from maniplvm.simulation.labels.demonstrations import Demonstration
from maniplvm.tasks.parsing.reading import POINT_RANGE

FEWEST, MOST = POINT_RANGE
SWITCH = 0.05
"""Least change of the gripper's command that counts as switching it."""
_SETTLING = 30
_STILL = 0.004
_APART = 3


@dataclass(frozen=True, eq=False)
class Waypoints:
    """The path of the gripper's touching point, thinned out.

    Attributes:
        steps: `(N,)` index of each waypoint on the demonstration's path.
        points: `(N, 3)` [m, world].
        gripper: `(N,)` command that holds from each waypoint on, -1 open to 1 closed.
        offset: `(3,)` from the end effector to the traced point [m, world axes].
    """

    steps: NDArray[np.int64]
    points: FloatArray
    gripper: FloatArray
    offset: FloatArray


def waypoints(demonstration: Demonstration, part: Part | None) -> Waypoints:
    """Between 3 and 10 waypoints of a demonstration.

    Start, first touch, gripper switches and end are always among them; then the point that
    strays most from the straight lines is added, until none strays more than 1 cm (`simplify`). The
    traced point is the one that touches: the finger tips for a grasp, the palm or a knuckle
    where that is what pushes, so that the trace runs through the part.

    Args:
        demonstration: At least two steps long.
        part: What it touches, if anything.
    """
    offset = np.zeros(3) if part is None else part.reach
    path = demonstration.path + offset
    last = demonstration.steps
    switches = _switches(demonstration.gripper)
    settled = {step: _settled(demonstration, step, switches) for step in switches}
    anchors = [0, last, *(step for step in settled.values() if step < last)]
    if part is not None:
        anchors.append(min(part.first_step, last))
    anchors = _apart(sorted(set(anchors)), last)
    steps = simplify(path, anchors, fewest=FEWEST, most=MOST)
    return Waypoints(
        steps=np.array(steps),
        points=path[steps],
        gripper=np.array([_command_from(step, demonstration.gripper, settled) for step in steps]),
        offset=offset,
    )


def _switches(gripper: FloatArray) -> list[int]:
    """Steps after which the gripper's command is another, as indices on the path."""
    return [int(step) for step in np.flatnonzero(np.abs(np.diff(gripper)) > SWITCH) + 1]


def _settled(demonstration: Demonstration, step: int, switches: list[int]) -> int:
    """Where the closing fingers touch and the hand has come to rest, or else is slowest.

    An opening hand needs no such pause.
    """
    gripper, path = demonstration.gripper, demonstration.path
    if gripper[step] < gripper[step - 1]:
        return step
    later = [other for other in switches if other > step]
    end = min([demonstration.steps, step + _SETTLING, *(other - 1 for other in later)])
    for touch in np.unique(demonstration.contacts.step):
        if step < touch < end and path[touch, 2] - path[touch + 1, 2] < _STILL:
            return int(touch)
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1)[step:end]
    return step + int(np.argmin(speed)) if len(speed) else step


def _apart(anchors: list[int], last: int) -> list[int]:
    kept = [anchors[0]]
    for step in anchors[1:-1]:
        if step - kept[-1] >= _APART and last - step >= _APART:
            kept.append(step)
    while len(kept) > MOST - 1:
        kept.pop(len(kept) // 2)
    return [*kept, last]


def _command_from(step: int, gripper: FloatArray, settled: dict[int, int]) -> float:
    command = float(gripper[0])
    for switch, when in settled.items():
        if step >= when - _APART + 1:
            command = float(gripper[switch])
    return command
