"""Protocols: what is measured of an answer, and what a missing answer counts as.

A protocol is data: for each task a function that measures answers, and for each of its measures the
value of a completion that could not be read. Published figures for one and the same model differ
several-fold by protocol alone, so no number is reported without its protocol's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maniplvm.errors import UserError
from maniplvm.geometry import iou, trace_distances
from maniplvm.tasks import Sample, Task

FloatArray: TypeAlias = NDArray[np.float64]

Measured: TypeAlias = Mapping[str, FloatArray]
"""`(B,)` values by the measure's name."""


class Habit(StrEnum):
    """What a protocol's published figures do with a completion that could not be read."""

    LEFT_OUT = "left out"
    """Only readable answers are averaged."""
    COUNTED = "counted as the worst"
    """As in the strict reading, so that both agree."""


@dataclass(frozen=True)
class TaskProtocol:
    """How one task is measured.

    Attributes:
        measure: B readable answers [px of the original image] and their samples to their values.
        worst: What a completion that could not be read counts as in the strict reading: a
            function of the sample for every measure, in the order of reports.
        habit: What the published reading does with it.
        by_category: Measures that are also reported for each category.
    """

    measure: Callable[[Sequence[FloatArray], Sequence[Sample]], Measured]
    worst: Mapping[str, Callable[[Sample], float]]
    habit: Habit
    by_category: tuple[str, ...]

    def values(
        self, answers: Sequence[FloatArray | None], samples: Sequence[Sample]
    ) -> list[dict[str, float]]:
        """Every measure of every answer; unreadable ones (None) at their worst."""
        read = [index for index, answer in enumerate(answers) if answer is not None]
        rows = [{name: worst(sample) for name, worst in self.worst.items()} for sample in samples]
        if read:
            said = [answer for answer in answers if answer is not None]
            measured = self.measure(said, [samples[index] for index in read])
            for place, index in enumerate(read):
                rows[index] = {name: float(measured[name][place]) for name in self.worst}
        return rows


@dataclass(frozen=True)
class Protocol:
    """How answers are measured.

    Attributes:
        name: Stands beside every number.
        tasks: What is measured of each task that it knows.
    """

    name: str
    tasks: Mapping[Task, TaskProtocol]


SUCCESS_IOU = 0.5
"""A box succeeds above this IoU."""
SUCCESS_END_PX = 20.0
"""A trace succeeds when it ends nearer than this to the target's end [px]."""
_THOUSAND = 1000.0


def _boxes(answers: Sequence[FloatArray], samples: Sequence[Sample]) -> Measured:
    targets = np.stack([sample.target.points.reshape(4) for sample in samples])
    overlap = iou(np.stack(answers), targets)
    return {"iou": overlap, "success": (overlap > SUCCESS_IOU).astype(float)}


def _traces(answers: Sequence[FloatArray], samples: Sequence[Sample]) -> Measured:
    targets = [sample.target.points for sample in samples]
    sizes = [np.array(sample.image_size, dtype=np.float64) for sample in samples]
    pixels = trace_distances(answers, targets)
    shares = trace_distances(
        [answer * (_THOUSAND / size) for answer, size in zip(answers, sizes, strict=True)],
        [target * (_THOUSAND / size) for target, size in zip(targets, sizes, strict=True)],
    )
    return {
        "dfd": pixels.dfd,
        "hd": pixels.hd,
        "rmse": pixels.rmse,
        "avg": (pixels.dfd + pixels.hd + pixels.rmse) / 3,
        "end": pixels.end,
        "dfd_1000": shares.dfd,
        "hd_1000": shares.hd,
        "rmse_1000": shares.rmse,
        "avg_1000": (shares.dfd + shares.hd + shares.rmse) / 3,
        "dfd_diagonal": pixels.dfd / np.array([sample.diagonal for sample in samples]),
        "success": (pixels.end < SUCCESS_END_PX).astype(float),
    }


def _nothing(_: Sample) -> float:
    return 0.0


def _diagonal(sample: Sample) -> float:
    return sample.diagonal


def _diagonal_1000(_: Sample) -> float:
    return _THOUSAND * float(np.sqrt(2))


def _whole(_: Sample) -> float:
    return 1.0


_PIXELS = ("dfd", "hd", "rmse", "avg", "end")
_SHARES = ("dfd_1000", "hd_1000", "rmse_1000", "avg_1000")

MANIPLVM = Protocol(
    "maniplvm",
    {
        Task.AFFORDANCE: TaskProtocol(
            _boxes, {"iou": _nothing, "success": _nothing}, Habit.LEFT_OUT, ("iou", "success")
        ),
        Task.TRAJECTORY: TaskProtocol(
            _traces,
            {
                **dict.fromkeys(_PIXELS, _diagonal),
                **dict.fromkeys(_SHARES, _diagonal_1000),
                "dfd_diagonal": _whole,
                "success": _nothing,
            },
            Habit.LEFT_OUT,
            ("dfd_diagonal", "success"),
        ),
    },
)
"""The paper's: mean IoU; DFD, Hausdorff, RMSE over 20 points and their mean. Its published code
averages over readable answers only."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({MANIPLVM.name: MANIPLVM})
"""Every protocol by name."""


def resolve_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UserError: there is none; the valid ones are listed.
    """
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
