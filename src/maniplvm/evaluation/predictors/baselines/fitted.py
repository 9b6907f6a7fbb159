"""What baselines learn from: a split's targets, as shares of their images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.baselines.answering import shares_of, written
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample


class TaughtBaseline(ABC):
    """A predictor that learns its answers from a stored split, and looks at no image."""

    def __init__(self, data: str, split: str) -> None:
        """Name a teaching split.

        Args:
            data: A stored data set.
            split: Its split.
        """
        self._data, self._split = data, split

    @property
    def draws(self) -> int:
        """One."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """Where its answers come from."""
        return {"baseline_data": f"{self._data}:{self._split}"}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """What it learned for each sample.

        Raises:
            UserError: the teaching split holds no sample of a task.
        """
        for sample in samples:
            shares = self._answer(sample)
            if shares is None:
                raise UserError(f"{self._data}: split {self._split} teaches no {sample.task}")
            yield written(sample, shares)

    @abstractmethod
    def _answer(self, sample: Sample) -> FloatArray | None:
        """The answer in shares of the image's sides; None where the task was not taught."""

    def _lessons(self) -> Iterator[tuple[Sample, FloatArray]]:
        """Every taught sample, without its image, and its target in shares."""
        for sample in open_dataset(Path(self._data)).samples(self._split, images=False):
            yield sample, shares_of(sample)


def parse_split(text: str) -> tuple[str, str]:
    """The data set and the split of `DIR:SPLIT`.

    Raises:
        UserError: it has another form.
    """
    data, _, split = text.rpartition(":")
    if not data or not split:
        raise UserError(
            f"--baseline-data {text}: expected DIR:SPLIT, such as datasets/kitchen:train"
        )
    return data, split
