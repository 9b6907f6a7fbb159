"""Answers from anywhere to anywhere."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from maniplvm.evaluation.predictors.baselines.answering import written
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.tasks import Sample, Task

_POINTS = 5


class RandomBaseline:
    """Boxes between two places anywhere, and straight traces from anywhere to anywhere."""

    def __init__(self, seed: int = 0) -> None:
        """Seed it; an answer depends on the seed and the sample's id alone."""
        self._seed = seed

    @property
    def name(self) -> str:
        """As on the command line."""
        return "baseline:random"

    @property
    def draws(self) -> int:
        """One."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """The seed."""
        return {"seed": self._seed}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One answer a sample."""
        for sample in samples:
            rng = np.random.default_rng([self._seed, zlib.crc32(sample.id.encode())])
            places = rng.random((2, 2))
            if sample.task is Task.TRAJECTORY:
                yield written(sample, np.linspace(places[0], places[1], _POINTS))
            else:
                yield written(sample, np.sort(places, axis=0))
