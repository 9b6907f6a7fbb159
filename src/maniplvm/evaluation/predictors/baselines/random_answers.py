"""The random baseline."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from maniplvm.evaluation.predictors.baselines.fitted import as_prediction
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.tasks import Sample, Task

_POINTS = 5


class RandomBaseline:
    """Boxes between two random points, and straight traces between two random points."""

    def __init__(self, seed: int = 0) -> None:
        """Set the seed; an answer depends only on the seed and the sample's id."""
        self._seed = seed

    @property
    def name(self) -> str:
        """The name on the command line."""
        return "baseline:random"

    @property
    def draws(self) -> int:
        """One completion of each sample."""
        return 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """The seed."""
        return {"seed": self._seed}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One random answer of each sample."""
        for sample in samples:
            rng = np.random.default_rng([self._seed, zlib.crc32(sample.id.encode())])
            ends = rng.random((2, 2))
            if sample.task is Task.TRAJECTORY:
                yield as_prediction(sample, np.linspace(ends[0], ends[1], _POINTS))
            else:
                yield as_prediction(sample, np.sort(ends, axis=0))
