"""The type of answer that a protocol measures, and how it is parsed from a completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from maniplvm.geometry.frames import Frame
from maniplvm.tasks import Answer, Task, parse_answer


class AnswerType(StrEnum):
    """The type of answer that a protocol measures."""

    BOX = "box"
    """`(4,)`."""
    TRACE = "trace"
    """`(N, 2)`, 3 to 10 points in the order of time."""
    POINTS = "points"
    """`(N, 2)`, unordered."""
    POINTS_OR_BOX = "points or box"
    """`(N, 2)`; a completion with a box instead counts as the box's centre."""


TASK_ANSWER_TYPE: Mapping[Task, AnswerType] = {
    Task.AFFORDANCE: AnswerType.BOX,
    Task.TRAJECTORY: AnswerType.TRACE,
    Task.POINTING: AnswerType.POINTS,
}
"""The type of answer that each task asks for, which the reward scores."""

_TASK_OF = {answer_type: task for task, answer_type in TASK_ANSWER_TYPE.items()}


def parse_as(text: str, own: Answer, frame: Frame, answer_type: AnswerType) -> Answer:
    """Parse a completion as the type of answer that a protocol measures.

    Args:
        text: The completion.
        own: The answer as the sample's task parses it.
        frame: The coordinate frame of its numbers, bound to the image.
        answer_type: The type that the protocol measures.

    Returns:
        `own` if it already has this type. For `POINTS_OR_BOX`, the points or the box, whichever is
        well-formed; otherwise the points if there are any, otherwise the box's centre.
    """
    if answer_type is TASK_ANSWER_TYPE[own.task]:
        return own
    if answer_type is not AnswerType.POINTS_OR_BOX:
        return parse_answer(text, _TASK_OF[answer_type], frame)
    points = own if own.task is Task.POINTING else parse_answer(text, Task.POINTING, frame)
    if points.well_formed:
        return points
    box = own if own.task is Task.AFFORDANCE else parse_answer(text, Task.AFFORDANCE, frame)
    if box.value is not None and (box.well_formed or not points.parsed):
        return replace(box, task=Task.POINTING, value=box.value.reshape(2, 2).mean(axis=0)[None])
    return points
