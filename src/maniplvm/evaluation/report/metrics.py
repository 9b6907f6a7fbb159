"""What each figure is called, what it means in a phrase, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from maniplvm.evaluation.statistics.comparison import LOWER_IS_BETTER
from maniplvm.tasks.sample import Task


class Form(StrEnum):
    """How a value is written."""

    SHARE = "share"
    NUMBER = "number"
    PIXELS = "pixels"
    UNITS = "units"


@dataclass(frozen=True)
class Metric:
    """A figure of an evaluation.

    Attributes:
        key: Its name in `evaluation.json` and `comparison.json`.
        name: Its name on the page.
        phrase: What it means.
        form: How it is written.
        is_detail: Whether it is left to the table of every measure.
    """

    key: str
    name: str
    phrase: str
    form: Form = Form.NUMBER
    is_detail: bool = False

    @property
    def short(self) -> str:
        """A name for tight places."""
        return _SHORT.get(self.key, self.name)

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return self.key not in LOWER_IS_BETTER

    def show(self, value: float | None) -> str:
        """A value for the eye; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.form is Form.SHARE:
            return f"{_minus(f'{value * 100:.1f}')} %"
        if self.form is Form.PIXELS:
            return f"{_minus(f'{value:.1f}')} px"
        return _minus(f"{value:.0f}" if self.form is Form.UNITS else f"{value:.3f}")

    def show_difference(self, value: float | None) -> str:
        """A difference with its sign; shares differ by percentage points."""
        if value is None or not math.isfinite(value):
            return "–"
        return self.show_bare(value) + self.unit

    def show_bare(self, value: float) -> str:
        """A difference with its sign, without its unit."""
        text = self.show(value).removesuffix(" %").removesuffix(" px")
        return text if value < 0 or not any(digit in text for digit in "123456789") else f"+{text}"

    @property
    def unit(self) -> str:
        """Of a difference; empty for plain numbers."""
        return {Form.SHARE: " points", Form.PIXELS: " px"}.get(self.form, "")

    def span(self, low: float, high: float) -> str:
        """The ends of an interval, the unit once."""
        return self._joined(self.show(low), self.show(high))

    def difference_span(self, low: float, high: float) -> str:
        """The ends of a difference's interval, the unit once."""
        return self._joined(self.show_difference(low), self.show_difference(high))

    def _joined(self, low: str, high: str) -> str:
        for unit in (" %", " px", " points"):
            if high.endswith(unit):
                low = low.removesuffix(unit)
        return f"{low} to {high}"


_SHORT = {"iou": "IoU", "dfd_diagonal": "error", "dfd_unit": "error", "inside": "inside"}


def _minus(text: str) -> str:
    """A true minus sign, and none before a value that is rounded to zero."""
    if text.startswith("-"):
        return f"−{text[1:]}" if any(digit in text for digit in "123456789") else text[1:]
    return text


_REWARD = Metric("reward", "reward", "sum of all reward terms of the preset")
_EITHER = (
    _REWARD,
    Metric("parse_rate", "could be read", "answers with coordinates to score", Form.SHARE),
    Metric("format_rate", "exact form", "answers in exactly the form that was asked", Form.SHARE),
)

_INSIDE = Metric(
    "inside", "points inside", "share of an answer’s points that lie in the target", Form.SHARE
)
_UNIT = "each side of the image scaled to 1"

METRICS: Mapping[Task, tuple[Metric, ...]] = {
    Task.AFFORDANCE: (
        Metric("iou", "box overlap (IoU)", "shared area of the two boxes over their joint area"),
        Metric("success", "boxes with IoU over .5", "share of boxes that mostly match", Form.SHARE),
        _INSIDE,
        *_EITHER,
    ),
    Task.TRAJECTORY: (
        Metric(
            "dfd_diagonal",
            "trace error (Fréchet)",
            "largest gap when both paths are walked side by side, as a share of the diagonal",
            Form.SHARE,
        ),
        Metric(
            "execution",
            "task done in physics",
            "the simulated robot follows the trace; depth comes from the checker",
            Form.SHARE,
        ),
        Metric("solved", "executed traces that solve their task", "in the simulator", Form.SHARE),
        Metric("dfd_unit", "trace error (Fréchet)", _UNIT),
        Metric("hd_unit", "Hausdorff distance", _UNIT),
        Metric("rmse_unit", "RMSE of the points as written", _UNIT),
        Metric("mae", "mean distance over 20 points", "both paths walked in step", Form.PIXELS),
        Metric("success", "end within 20 px", "share of traces that end near the goal", Form.SHARE),
        *(
            Metric(key, name, phrase, Form.PIXELS, is_detail=True)
            for key, name, phrase in (
                ("avg", "mean distance", "mean of the Fréchet and Hausdorff distance and RMSE"),
                ("dfd", "Fréchet distance", "largest gap when both paths are walked in step"),
                (
                    "hd",
                    "Hausdorff distance",
                    "farthest waypoint from the other path, ignoring order",
                ),
                ("rmse", "RMSE", "root mean square gap after resampling both to 20 points"),
                ("end", "end distance", "gap between the two last points"),
            )
        ),
        *_EITHER,
    ),
    Task.POINTING: (_INSIDE, *_EITHER),
}
"""The rows of each task's table, the most telling first."""

LEADING: Mapping[Task, tuple[str, ...]] = {
    Task.AFFORDANCE: ("iou", "inside"),
    Task.TRAJECTORY: ("dfd_diagonal", "dfd_unit", "mae", "execution"),
    Task.POINTING: ("inside",),
}
"""The figures that the headline speaks of, where a protocol gives them."""

SPLIT_PHRASES: Mapping[str, str] = {
    "train": "the scenes of supervised training",
    "id_test": "new scenes of the tasks of supervised training",
    "adapt": "the scenes of adaptation",
    "adapt_test": "new scenes of the tasks of adaptation",
    "ood_tasks": "tasks that no training saw",
    "ood_robot": "another robot in another simulator",
}

STATUS_PHRASES: Mapping[str, str] = {
    "no_think_block": "no reasoning block",
    "no_answer_tag": "no answer block",
    "repeated_tag": "a block that comes twice",
    "text_outside_tags": "text outside of the blocks",
    "not_coordinates": "an answer without coordinates",
    "wrong_count": "the wrong number of coordinates",
    "non_finite": "a number that is not finite",
    "out_of_range": "a place far outside of the image",
    "swapped_corners": "a box with swapped corners",
    "empty_box": "a box without area",
    "too_long": "an answer that is too long to read",
    "no_prediction": "no answer was given",
}

EXECUTION_PHRASES: Mapping[str, str] = {
    "never_touched": "the hand never met the part",
    "out_of_reach": "a place that the hand could not reach",
    "dropped": "the part was lost on the way",
    "wrong_end": "the part was touched, the task was not solved",
    "timeout": "time ran out",
    "invalid": "no path to follow",
    "crashed": "the simulator failed",
}


def metric_of(task: Task, key: str) -> Metric:
    """The metric of a task by its key; one that the page does not know is shown by its key."""
    known = {metric.key: metric for metric in METRICS[task]}
    return known.get(key, Metric(key, key.replace("_", " "), ""))
