"""Coordinates in free text, in the answer formats of the published models.

docs/answer-formats.md is the table of all formats, with an example, the source and the frame of each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from maniplvm.tasks.parsing.boxes import last_box
from maniplvm.tasks.parsing.groups import read_groups
from maniplvm.tasks.parsing.point_tags import tagged_points
from maniplvm.tasks.parsing.points import Coordinates, Point
from maniplvm.tasks.parsing.spelling import NUMBER, normal_spelling
from maniplvm.tasks.parsing.traces import last_points, last_trace
from maniplvm.tasks.sample import Task

UNSUPPORTED = re.compile(r"<patch_index_\d{1,4}>|<\|?(?:sub)?patch_\d", re.IGNORECASE)
"""Tokens that give coordinates only with the model's own processor: those of Kosmos-2 and MolmoPoint."""

_FENCE = re.compile(r"\s*+```[a-z]{0,16}+\s*+(?P<content>[^`]*+)```\s*+", re.IGNORECASE)
_BARE_NUMBERS = re.compile(
    rf"\s*+{NUMBER}(?:[ \t]*+(?:[,;\s]|px\b)[,;\s]*+{NUMBER})++\s*+(?:px\s*+)?+", re.IGNORECASE
)
_LAST = {Task.AFFORDANCE: last_box, Task.TRAJECTORY: last_trace, Task.POINTING: last_points}


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        coordinates: The answer in the numbers of the model, or None. Its numbers may be infinite or
            NaN, and their count may be wrong. Without points there are numbers of another shape.
        unsupported_format: Whether the text has tokens of `UNSUPPORTED`.
        unsupported_number: Whether brackets hold a fraction, digit groups or another number that is
            not read.
    """

    coordinates: Coordinates | None
    unsupported_format: bool = False
    unsupported_number: bool = False


def without_fence(payload: str) -> str:
    """The content of a Markdown code fence that is the whole payload."""
    match = _FENCE.fullmatch(payload)
    return match["content"] if match else payload


def find_coordinates(payload: str, task: Task) -> Found:
    """Find the last box, trace or list of points in a text.

    Args:
        payload: The text to search, of bounded length.
        task: The task, which decides the shape.
    """
    text = normal_spelling(without_fence(payload))
    if task is not Task.AFFORDANCE and (tagged := tagged_points(text)):
        return Found(Coordinates([Point(x, y, True) for x, y in tagged]))
    if _BARE_NUMBERS.fullmatch(text):
        text = f"[{text}]"
    groups = read_groups(text)
    coordinates = _LAST[task](groups.outer)
    return Found(
        coordinates,
        coordinates is None and UNSUPPORTED.search(text) is not None,
        groups.has_unsupported_number,
    )
