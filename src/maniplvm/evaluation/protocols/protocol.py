"""What a protocol is: plain data, of which one small file makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from maniplvm.evaluation.outcome import Outcome
from maniplvm.evaluation.protocols.measure import Measure
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample, Task

Measured: TypeAlias = Mapping[str, FloatArray]
"""`(B,)` values by the measure's name."""


class Habit(StrEnum):
    """What a protocol's published figures do with a completion that could not be read."""

    LEFT_OUT = "left out"
    """Only readable answers are averaged."""
    COUNTED = "counted as the worst"
    """As in the strict reading."""


class Reads(StrEnum):
    """What a protocol takes out of a completion."""

    BOX = "box"
    """`(4,)`."""
    TRACE = "trace"
    """`(N, 2)`, 3 to 10 points in the order of time."""
    POINTS = "points"
    """`(N, 2)`, without an order."""
    POINTS_OR_BOX = "points or box"
    """`(N, 2)`; a completion that gives a box instead counts as the box's centre."""


OWN_READING: Mapping[Task, Reads] = {
    Task.AFFORDANCE: Reads.BOX,
    Task.TRAJECTORY: Reads.TRACE,
    Task.POINTING: Reads.POINTS,
}
"""What a task asks for: the reading that is rewarded."""


@dataclass(frozen=True)
class Answered:
    """A readable answer beside what it is measured by.

    Attributes:
        answer: Of the shape that the protocol reads [px of the original image].
        sample: What was asked.
        outcome: What became of it in physics, where that is known.
    """

    answer: FloatArray
    sample: Sample
    outcome: Outcome | None = None


@dataclass(frozen=True)
class TaskProtocol:
    """How one task is measured.

    Attributes:
        reads: What is taken out of a completion.
        measure: B readable answers to `(B,)` values of every measure.
        measures: What it gives, in the order of reports.
        habit: What the published reading does with a completion that could not be read.
        by_category: Measures that are also reported for each category.
        needs_outcome: Whether only answers that were executed in physics can be measured.
    """

    reads: Reads
    measure: Callable[[Sequence[Answered]], Measured]
    measures: tuple[Measure, ...]
    habit: Habit
    by_category: tuple[str, ...]
    needs_outcome: bool = False

    @property
    def worst(self) -> Mapping[str, Callable[[Sample], float]]:
        """What a completion that could not be read counts as: a function of the sample."""
        return {measure.name: measure.worst for measure in self.measures}

    def values(
        self,
        answers: Sequence[FloatArray | None],
        samples: Sequence[Sample],
        outcomes: Sequence[Outcome | None] | None = None,
    ) -> list[dict[str, float]]:
        """Every measure of every answer; unreadable ones (None) at their worst."""
        known = outcomes or [None] * len(samples)
        worst = self.worst
        rows = [{name: value(sample) for name, value in worst.items()} for sample in samples]
        read = {
            index: Answered(answer, samples[index], known[index])
            for index, answer in enumerate(answers)
            if answer is not None
        }
        if read:
            measured = self.measure(list(read.values()))
            for place, index in enumerate(read):
                rows[index] = {name: float(measured[name][place]) for name in worst}
        return rows

    def to_json(self) -> dict[str, Any]:
        """As `evaluation.json` describes it."""
        return {
            "reads": self.reads.value,
            "published_habit": self.habit.value,
            "by_category": list(self.by_category),
            "values": {measure.name: measure.to_json() for measure in self.measures},
        }


@dataclass(frozen=True)
class Protocol:
    """How answers are measured.

    Attributes:
        name: Stands beside every number.
        tasks: What is measured of each task that it knows; samples of others are not measured.
        may_be_partial: Whether a predictions file may leave samples unanswered. They count as the
            worst in the strict reading, are left out of the published one, and the coverage says
            how many were answered.
    """

    name: str
    tasks: Mapping[Task, TaskProtocol]
    may_be_partial: bool = False

    def describe(self) -> dict[str, Any]:
        """Readings, habits and measures by task, as in `evaluation.json`."""
        return {task.value: own.to_json() for task, own in self.tasks.items()}
