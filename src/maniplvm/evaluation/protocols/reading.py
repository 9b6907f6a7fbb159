"""What a protocol takes out of a completion, where that is not what the task asked for."""

from __future__ import annotations

from dataclasses import replace

from maniplvm.evaluation.protocols.protocol import OWN_READING, Reads
from maniplvm.geometry.frames import Frame
from maniplvm.tasks import Answer, Task, parse_answer

_TASK_OF = {Reads.BOX: Task.AFFORDANCE, Reads.TRACE: Task.TRAJECTORY, Reads.POINTS: Task.POINTING}


def read_as(text: str, own: Answer, frame: Frame, reads: Reads) -> Answer:
    """A completion as a protocol reads it.

    Args:
        text: The completion.
        own: As its task reads it.
        frame: The frame in which it speaks, bound to the image.
        reads: What the protocol takes.

    Returns:
        `own` where it is what the protocol takes. For `POINTS_OR_BOX`: of points and a box the one
        that has the exact form; else the points, if there are any; else the box's centre.
    """
    if reads is OWN_READING[own.task]:
        return own
    if reads is not Reads.POINTS_OR_BOX:
        return parse_answer(text, _TASK_OF[reads], frame)
    points = own if own.task is Task.POINTING else parse_answer(text, Task.POINTING, frame)
    if points.well_formed:
        return points
    box = own if own.task is Task.AFFORDANCE else parse_answer(text, Task.AFFORDANCE, frame)
    if box.value is not None and (box.well_formed or not points.parsed):
        return replace(box, task=Task.POINTING, value=box.value.reshape(2, 2).mean(axis=0)[None])
    return points
