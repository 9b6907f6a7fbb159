"""Names, descriptions and number formats of the metrics of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from maniplvm.evaluation.statistics.comparison import LOWER_IS_BETTER
from maniplvm.tasks.sample import Task


class MetricFormat(StrEnum):
    """Number format of a metric."""

    PERCENT = "percent"
    NUMBER = "number"
    PIXELS = "pixels"
    THOUSANDTHS = "thousandths"


@dataclass(frozen=True)
class Metric:
    """A metric of an evaluation.

    Attributes:
        key: The key in `evaluation.json` and `comparison.json`.
        name: The name on the page.
        description: What the metric measures.
        format: The number format.
        is_advanced: Whether only the table of all metrics shows it.
    """

    key: str
    name: str
    description: str
    format: MetricFormat = MetricFormat.NUMBER
    is_advanced: bool = False

    @property
    def short_name(self) -> str:
        """A short name for sample cards and table cells."""
        return _SHORT_NAMES.get(self.key, self.name)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is better."""
        return self.key not in LOWER_IS_BETTER

    def format_value(self, value: float | None) -> str:
        """Format a value. A missing value is a dash."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.format is MetricFormat.PERCENT:
            return f"{_minus(f'{value * 100:.1f}')} %"
        if self.format is MetricFormat.PIXELS:
            return f"{_minus(f'{value:.1f}')} px"
        return _minus(f"{value:.0f}" if self.format is MetricFormat.THOUSANDTHS else f"{value:.3f}")

    def format_difference(self, value: float | None) -> str:
        """Format a difference with sign and unit. Percentages differ by points."""
        if value is None or not math.isfinite(value):
            return "–"
        return self.format_difference_number(value) + self.unit

    def format_difference_number(self, value: float) -> str:
        """Format a difference with its sign, without unit."""
        text = self.format_value(value).removesuffix(" %").removesuffix(" px")
        return text if value < 0 or not any(digit in text for digit in "123456789") else f"+{text}"

    @property
    def unit(self) -> str:
        """Unit of a difference, empty for plain numbers."""
        return {MetricFormat.PERCENT: " points", MetricFormat.PIXELS: " px"}.get(self.format, "")

    def format_interval(self, low: float, high: float) -> str:
        """Format an interval with the unit once."""
        return self._joined(self.format_value(low), self.format_value(high))

    def format_difference_interval(self, low: float, high: float) -> str:
        """Format the interval of a difference with the unit once."""
        return self._joined(self.format_difference(low), self.format_difference(high))

    def _joined(self, low: str, high: str) -> str:
        for unit in (" %", " px", " points"):
            if high.endswith(unit):
                low = low.removesuffix(unit)
        return f"{low} to {high}"


_SHORT_NAMES = {"iou": "IoU", "dfd_diagonal": "error", "dfd_unit": "error", "inside": "inside"}


def _minus(text: str) -> str:
    """Use the minus sign U+2212, and no sign for a value that rounds to zero."""
    if text.startswith("-"):
        return f"−{text[1:]}" if any(digit in text for digit in "123456789") else text[1:]
    return text


_REWARD = Metric("reward", "reward", "sum of all reward terms of the preset")
_COMMON = (
    _REWARD,
    Metric(
        "parse_rate",
        "parse rate",
        "answers with coordinates that could be parsed",
        MetricFormat.PERCENT,
    ),
    Metric(
        "format_rate",
        "format rate",
        "answers in exactly the requested format",
        MetricFormat.PERCENT,
    ),
)

_INSIDE = Metric(
    "inside",
    "points inside",
    "fraction of the predicted points inside of the target",
    MetricFormat.PERCENT,
)
_UNIT = "in units of the image sides"

METRICS: Mapping[Task, tuple[Metric, ...]] = {
    Task.AFFORDANCE: (
        Metric(
            "iou",
            "box overlap (IoU)",
            "area of the intersection of the two boxes over the area of their union",
        ),
        Metric(
            "success",
            "boxes with IoU over .5",
            "fraction of boxes that count as a success",
            MetricFormat.PERCENT,
        ),
        _INSIDE,
        *_COMMON,
    ),
    Task.TRAJECTORY: (
        Metric(
            "dfd_diagonal",
            "trace error (Fréchet)",
            "discrete Fréchet distance to the target, relative to the image diagonal",
            MetricFormat.PERCENT,
        ),
        Metric(
            "execution",
            "task success in simulation",
            "the simulated robot follows the trace, with depth from the simulator",
            MetricFormat.PERCENT,
        ),
        Metric(
            "solved",
            "executed traces that solve the task",
            "in the simulator",
            MetricFormat.PERCENT,
        ),
        Metric("dfd_unit", "trace error (Fréchet)", _UNIT),
        Metric("hd_unit", "Hausdorff distance", _UNIT),
        Metric("rmse_unit", "RMSE of the predicted points", _UNIT),
        Metric(
            "mae",
            "mean distance over 20 points",
            "after resampling both traces to 20 points",
            MetricFormat.PIXELS,
        ),
        Metric(
            "success",
            "end within 20 px",
            "fraction of traces that end within 20 px of the target’s end",
            MetricFormat.PERCENT,
        ),
        *(
            Metric(key, name, description, MetricFormat.PIXELS, is_advanced=True)
            for key, name, description in (
                ("avg", "mean distance", "mean of the Fréchet and Hausdorff distance and RMSE"),
                ("dfd", "Fréchet distance", "discrete Fréchet distance to the target"),
                (
                    "hd",
                    "Hausdorff distance",
                    "largest distance of a waypoint from the other trace, without order",
                ),
                (
                    "rmse",
                    "RMSE",
                    "root mean square distance after resampling both traces to 20 points",
                ),
                ("end", "end distance", "distance between the two last points"),
            )
        ),
        *_COMMON,
    ),
    Task.POINTING: (_INSIDE, *_COMMON),
}
"""Metrics of each task in the order of the table rows, the most important first."""

HEADLINE_METRICS: Mapping[Task, tuple[str, ...]] = {
    Task.AFFORDANCE: ("iou", "inside"),
    Task.TRAJECTORY: ("dfd_diagonal", "dfd_unit", "mae", "execution"),
    Task.POINTING: ("inside",),
}
"""Metrics of the summary at the top of the page, where the protocol provides them."""

SPLIT_DESCRIPTIONS: Mapping[str, str] = {
    "train": "training scenes",
    "id_test": "new scenes of the training tasks",
    "adapt": "adaptation scenes",
    "adapt_test": "new scenes of the adaptation tasks",
    "ood_tasks": "tasks that are in no training split",
    "ood_robot": "another robot in another simulator",
}

STATUS_DESCRIPTIONS: Mapping[str, str] = {
    "guessed": "a parsed answer that the text does not state clearly",
    "no_think_block": "no reasoning block",
    "no_answer_tag": "no answer block",
    "repeated_tag": "a repeated block",
    "text_outside_tags": "text outside of the blocks",
    "unsupported_format": "coordinate tokens that only the model's own processor can decode",
    "unsupported_number": "numbers in a spelling that is not parsed, such as fractions",
    "not_coordinates": "an answer without coordinates",
    "wrong_count": "the wrong number of coordinates",
    "non_finite": "a number that is not finite, or too large",
    "out_of_range": "coordinates far outside of the image",
    "swapped_corners": "a box with swapped corners",
    "empty_box": "a box without area",
    "too_long": "a completion that is too long to parse",
    "no_prediction": "no prediction for this sample",
}

GUESS_DESCRIPTIONS: Mapping[str, str] = {
    "swapped_corners": "corners in the wrong order, which were sorted",
    "corner_and_size": "x, y, width and height, with x and y as the top left corner",
    "several_answers": "several different answers, of which the last counts",
    "other_points": "points outside of the complete answer, which were ignored",
    "cut_off": "brackets that are not closed, or do not fit",
    "too_long": "a completion that is too long; only a part was parsed",
    "decimal_comma": "commas as decimal points",
    "percent": "percent signs, as a part of the image side",
    "pixel_unit": "the unit px in a frame of other numbers",
    "quoted_numbers": "strings as numbers",
    "depth_ignored": "points with a third number, which was ignored",
}

EXECUTION_DESCRIPTIONS: Mapping[str, str] = {
    "never_touched": "the end effector never touched the part",
    "out_of_reach": "a waypoint out of reach",
    "dropped": "contact with the part was lost",
    "wrong_end": "the part was touched, but the task was not solved",
    "timeout": "time limit reached",
    "invalid": "no executable path",
    "crashed": "simulator error",
}


def metric_of(task: Task, key: str) -> Metric:
    """Find the metric of a task by its key. An unknown metric is named by its key."""
    known = {metric.key: metric for metric in METRICS[task]}
    return known.get(key, Metric(key, key.replace("_", " "), ""))
