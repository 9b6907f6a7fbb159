"""The definition of a protocol: plain data for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import Measure
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample, Task

MeasureValues: TypeAlias = Mapping[str, FloatArray]
"""`(B,)` values by the name of the measure."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of executing a trace in simulation.

    Attributes:
        success: Whether the task was solved.
        reason: A value of `simulation.execution.Reason`.
    """

    success: bool
    reason: str


class UnreadablePolicy(StrEnum):
    """How a protocol's published figures count a completion that could not be parsed."""

    LEFT_OUT = "left out"
    """The mean is over parsed answers only."""
    COUNTED_AS_WORST = "counted as the worst"
    """It counts as the worst value, as in the strict reading."""


@dataclass(frozen=True)
class AnsweredSample:
    """A parsed answer with its sample.

    Attributes:
        answer: An array of the protocol's `AnswerType` [px of the original image].
        sample: The sample.
        outcome: The outcome of executing it, if it was executed.
    """

    answer: FloatArray
    sample: Sample
    outcome: Outcome | None = None


@dataclass(frozen=True)
class TaskProtocol:
    """How one task is measured.

    Attributes:
        answer_type: The type of answer that is parsed from a completion.
        measure: Takes B parsed answers and returns `(B,)` values of every measure.
        measures: The measures, in the order of reports.
        unreadable: How published figures count a completion that could not be parsed.
        by_category: Measures that are also reported for each category.
        needs_outcome: Whether only executed answers can be measured.
    """

    answer_type: AnswerType
    measure: Callable[[Sequence[AnsweredSample]], MeasureValues]
    measures: tuple[Measure, ...]
    unreadable: UnreadablePolicy
    by_category: tuple[str, ...]
    needs_outcome: bool = False

    @property
    def worst(self) -> Mapping[str, Callable[[Sample], float]]:
        """For each measure, a function from a sample to the worst value."""
        return {measure.name: measure.worst for measure in self.measures}

    def values(
        self,
        answers: Sequence[FloatArray | None],
        samples: Sequence[Sample],
        outcomes: Sequence[Outcome | None] | None = None,
    ) -> list[dict[str, float]]:
        """Every measure of every answer; an answer that is None gets the worst values."""
        known = outcomes or [None] * len(samples)
        worst = self.worst
        rows = [{name: value(sample) for name, value in worst.items()} for sample in samples]
        answered = {
            index: AnsweredSample(answer, samples[index], known[index])
            for index, answer in enumerate(answers)
            if answer is not None
        }
        if answered:
            measured = self.measure(list(answered.values()))
            for position, index in enumerate(answered):
                rows[index] = {name: float(measured[name][position]) for name in worst}
        return rows

    def to_json(self) -> dict[str, Any]:
        """The description in `evaluation.json`."""
        return {
            "reads": self.answer_type.value,
            "published_habit": self.unreadable.value,
            "by_category": list(self.by_category),
            "values": {measure.name: measure.to_json() for measure in self.measures},
        }


@dataclass(frozen=True)
class Protocol:
    """How answers are measured.

    Attributes:
        name: The name, reported with every figure.
        tasks: How each task is measured; samples of other tasks are not measured.
        may_be_partial: Whether a predictions file may have no completion for some samples. These
            count as the worst in the strict reading and are left out of the published one; the
            coverage is the share of samples with a completion.
    """

    name: str
    tasks: Mapping[Task, TaskProtocol]
    may_be_partial: bool = False

    def describe(self) -> dict[str, Any]:
        """The description of every task in `evaluation.json`."""
        return {task.value: own.to_json() for task, own in self.tasks.items()}
