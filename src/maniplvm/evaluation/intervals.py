"""Bootstrap intervals: no mean is reported without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]

RESAMPLES = 2000
"""Bootstrap resamples: enough for two digits of a 95 % interval."""


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: The plain mean; NaN without values.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: How many values.
    """

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    values: ArrayLike, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """The mean of independent values with its percentile bootstrap interval (Efron 1979).

    Args:
        values: `(N,)` finite numbers; booleans count as 0 and 1.
        level: Coverage of the interval, between 0 and 1.
        seed: The same seed gives the same interval.
        resamples: How many bootstrap samples.

    Returns:
        The interval; all NaN and a count of 0 without values.

    Raises:
        ValueError: values that are not one-dimensional or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("bootstrap: expected a one-dimensional array of finite numbers")
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    means = _resampled_means(array, np.random.default_rng(seed), resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def _resampled_means(array: FloatArray, rng: np.random.Generator, resamples: int) -> FloatArray:
    """Means of samples drawn with replacement, in blocks so that memory stays small."""
    block = max(1, 2_000_000 // len(array))
    means = [
        array[rng.integers(0, len(array), (min(block, resamples - start), len(array)))].mean(axis=1)
        for start in range(0, resamples, block)
    ]
    return np.concatenate(means)
