"""The same answer whatever is asked, or whatever is asked within a category."""

from __future__ import annotations

from functools import cached_property

from maniplvm.evaluation.predictors.baselines.answering import best_answer
from maniplvm.evaluation.predictors.baselines.fitted import TaughtBaseline
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample, Task


class ConstantBaseline(TaughtBaseline):
    """Always the same box and the same trace: the best single ones of a teaching split.

    Best of the split's own targets and their coordinate-wise median, all in shares of the
    image's sides: the box of highest mean IoU with the others, the trace of lowest mean DFD to
    them. Of a large split 256 evenly spread candidates are judged by 1024 evenly spread targets.
    """

    def __init__(self, data: str, split: str, per_category: bool = False) -> None:
        """Name a teaching split.

        Args:
            data: A stored data set.
            split: Its split.
            per_category: One constant for each category; an unknown one gets the overall constant.
        """
        super().__init__(data, split)
        self._per_category = per_category

    @property
    def name(self) -> str:
        """As on the command line."""
        return "baseline:constant-per-task" if self._per_category else "baseline:constant"

    def _answer(self, sample: Sample) -> FloatArray | None:
        overall = self._constants.get((sample.task, None))
        return self._constants.get((sample.task, sample.category), overall)

    @cached_property
    def _constants(self) -> dict[tuple[Task, str | None], FloatArray]:
        taught: dict[tuple[Task, str | None], list[FloatArray]] = {}
        for sample, shares in self._lessons():
            taught.setdefault((sample.task, None), []).append(shares)
            if self._per_category and sample.category is not None:
                taught.setdefault((sample.task, sample.category), []).append(shares)
        return {key: best_answer(key[0], targets) for key, targets in taught.items()}
