"""Prompts and reference completions, in the coordinate frame of a model family."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import FRAMES, Frame, FrameSpec
from maniplvm.geometry.simplify import simplify
from maniplvm.tasks.parsing.reading import POINT_RANGE
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Target, Task, TraceTarget

PLACEHOLDERS = ("instruction", "range", "shape")
"""Placeholders of a template: the instruction, the frame's range, the shape of the answer."""

_AFFORDANCE = """\
The image shows what a robot arm sees. It is told: "{instruction}"
Find the one region that its gripper must interact with to do this.
Think about which part that is and where it lies, then give the tightest box around it.
{range}
Reply in exactly this form: <think>your reasoning</think><answer>{shape}</answer>"""

_TRAJECTORY = """\
The image shows what a robot arm sees. It is told: "{instruction}"
Plan the path of its gripper in the image, from where it is now until this is done.
Think about what it must touch and where it must end, then give 3 to 10 points in order of time.
{range}
Reply in exactly this form: <think>your reasoning</think><answer>{shape}</answer>"""

_POINTING = """\
The image shows what a robot arm sees. It is told: "{instruction}"
Point at the places that its gripper must touch, or may use, to do this.
Think about which part that is and where it lies, then give one point or several.
{range}
Reply in exactly this form: <think>your reasoning</think><answer>{shape}</answer>"""

_SHORT_AFFORDANCE = "{instruction}\nWhere to touch? Box:"
_SHORT_TRAJECTORY = "{instruction}\nHow to move? Trace:"
_SHORT_POINTING = "{instruction}\nWhere to touch? Points:"

_ROUNDING_ERROR = 1e-6
"""Maximum distance of a point that counts as on a straight line [px]."""

_POINT_KEY: Mapping[str, str] = {
    "qwen2_vl": "point_2d",
    "qwen2_5_vl": "point_2d",
    "qwen3_vl": "point_2d",
    "gemini_er": "point",
}
"""Key of a point object in the families that use one. Other families write bare lists."""


@dataclass(frozen=True)
class PromptStyle:
    """The prompt templates of one model family.

    Attributes:
        family: Name of the family and of its coordinate frame.
        affordance: Template for affordance; see `PLACEHOLDERS`.
        trajectory: Template for trajectory.
        pointing: Template for pointing.
    """

    family: str
    affordance: str = _AFFORDANCE
    trajectory: str = _TRAJECTORY
    pointing: str = _POINTING

    def __post_init__(self) -> None:
        for task in Task:
            _check_template(getattr(self, task.value), f"prompt {self.family}: {task}")

    @property
    def frame(self) -> FrameSpec:
        """The coordinate frame of the family."""
        return FRAMES[self.family]

    def format(self, instruction: str, task: Task | str, frame: Frame) -> str:
        """The prompt for one image.

        Args:
            instruction: The instruction to the robot.
            task: `affordance`, `trajectory` or `pointing`.
            frame: The frame, bound to the image. The prompt states its range.
        """
        task = Task(task)
        template: str = getattr(self, task.value)
        return template.format(
            instruction=instruction.strip(), range=_range(frame), shape=_shape(task, frame)
        )

    def with_templates(self, templates: Mapping[str, str]) -> PromptStyle:
        """The same style with other templates.

        Raises:
            UserError: an unknown task or placeholder; the valid ones are listed.
        """
        unknown = [name for name in templates if name not in tuple(Task)]
        if unknown:
            raise UserError(
                f"prompt {self.family}: unknown task {', '.join(unknown)}; "
                f"choose from {', '.join(Task)}"
            )
        return replace(self, **templates)


def write_answer(target: Target, frame: Frame) -> str:
    """A target as JSON that the strict reading accepts, rounded to the frame's step.

    A box thinner than a step becomes one step wide, so that it is not empty. A region becomes one
    point well inside it, written as the family's point object where it has one.
    """
    if isinstance(target, BoxTarget):
        return _list(_with_least_size(frame.encode(target.points), target, frame).reshape(4))
    if isinstance(target, RegionTarget):
        return _points(frame.encode(target.inside_point[None]), frame)
    return "[" + ", ".join(_list(point) for point in frame.encode(target.points)) + "]"


def write_completion(target: Target, frame: Frame, reasoning: str) -> str:
    """A complete reference completion in the exact form, for supervised fine-tuning.

    Raises:
        ValueError: the reasoning contains one of the tags.
    """
    if any(tag in reasoning for tag in ("<think>", "</think>", "<answer>", "</answer>")):
        raise ValueError("the reasoning must not contain <think> or <answer> tags")
    return f"<think>{reasoning}</think><answer>{write_answer(target, frame)}</answer>"


def answerable_trace(target: TraceTarget) -> TraceTarget:
    """The trace with a valid number of points for an answer (`POINT_RANGE`), on the same path.

    A longer trace is simplified (`geometry.simplify`). A shorter one gets the middle of its longest
    segment.
    """
    fewest, most = POINT_RANGE
    points = target.points
    if len(points) > most:
        points = points[simplify(points, _ROUNDING_ERROR, most, min_points=fewest)]
    while len(points) < fewest:
        longest = int(np.argmax(np.linalg.norm(np.diff(points, axis=0), axis=1)))
        middle = (points[longest] + points[longest + 1]) / 2
        points = np.insert(points, longest + 1, middle, axis=0)
    return target if points is target.points else TraceTarget(points)


def _with_least_size(corners: FloatArray, target: BoxTarget, frame: Frame) -> FloatArray:
    """Corners at least one step apart. One corner moves to the side on which the box lies."""
    flat = corners[0] == corners[1]
    middle = frame.encode(target.points, rounded=False).mean(axis=0)
    grow = (middle >= corners[1]) & (corners[1] < frame.limits) | (corners[0] < frame.step)
    step = np.where(flat, frame.step, 0.0)
    return corners + np.stack([np.where(grow, 0.0, -step), np.where(grow, step, 0.0)])


def _list(numbers: FloatArray) -> str:
    return "[" + ", ".join(f"{number:.9g}" for number in numbers.tolist()) + "]"


def _points(numbers: FloatArray, frame: Frame) -> str:
    key = _POINT_KEY.get(frame.name)
    points = [_list(point) for point in numbers]
    return "[" + ", ".join(f'{{"{key}": {point}}}' if key else point for point in points) + "]"


def _range(frame: Frame) -> str:
    first, second = (f"{limit:g}" for limit in frame.limits)
    kind = "whole numbers" if frame.step >= 1 else "decimal numbers"
    axes = ("y", "x") if frame.y_first else ("x", "y")
    return (
        f"Coordinates are {kind}, {axes[0]} first: {axes[0]} from 0 to {first}, "
        f"{axes[1]} from 0 to {second}; x grows to the right, y grows downwards."
    )


def _shape(task: Task, frame: Frame) -> str:
    if task is Task.AFFORDANCE:
        return "[y1, x1, y2, x2]" if frame.y_first else "[x1, y1, x2, y2]"
    point = "[y, x]" if frame.y_first else "[x, y]"
    if task is Task.POINTING and frame.name in _POINT_KEY:
        point = f'{{"{_POINT_KEY[frame.name]}": {point}}}'
    return f"[{point}, {point}, ...]"


def _check_template(template: str, where: str) -> None:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise UserError(f"{where}: bad template ({error}); write {{{{ for a brace") from error
    unknown = fields - set(PLACEHOLDERS)
    if unknown:
        raise UserError(
            f"{where}: unknown placeholder {', '.join(sorted(unknown))}; "
            f"choose from {', '.join(PLACEHOLDERS)}"
        )
    if "instruction" not in fields:
        raise UserError(f"{where}: the template must name {{instruction}}")


PROMPTS: Mapping[str, PromptStyle] = {
    **{family: PromptStyle(family) for family in FRAMES},
    "embedded": PromptStyle("embedded", _SHORT_AFFORDANCE, _SHORT_TRAJECTORY, _SHORT_POINTING),
}
"""The prompt style of every family that has a frame."""


def resolve_prompt(family: str, templates: Mapping[str, str] | None = None) -> PromptStyle:
    """The prompt style of a family, with a recipe's own templates if it has any.

    Raises:
        UserError: an unknown family, task or placeholder; the valid ones are listed.
    """
    if family not in PROMPTS:
        raise UserError(f"unknown model family {family!r}; choose from {', '.join(PROMPTS)}")
    return PROMPTS[family].with_templates(templates or {})
