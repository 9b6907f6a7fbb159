"""Means with bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray

RESAMPLES = 2000
"""Bootstrap resamples: enough for two digits of a 95 % interval."""


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap confidence interval.

    Attributes:
        mean: The mean; NaN without values.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: Number of values.
    """

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def to_json(self) -> dict[str, Any]:
        """The content as JSON data. JSON has no NaN, so an interval without values holds nulls."""
        plain = asdict(self)
        return plain if self.count else plain | {"mean": None, "low": None, "high": None}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Interval:
        """The inverse of `to_json`."""
        numbers = [float("nan") if plain[k] is None else plain[k] for k in ("mean", "low", "high")]
        return cls(*numbers, count=plain["count"])


def bootstrap_mean(
    values: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The mean of values with its percentile bootstrap interval (Efron 1979).

    Args:
        values: `(N,)` finite numbers; booleans count as 0 and 1.
        groups: `(N,)` the group of each value, such as its scene. Whole groups are resampled
            (Field & Welsh 2007), because views of one scene are not independent. None treats all
            values as independent.
        level: Coverage of the interval, between 0 and 1.
        seed: The same seed gives the same interval.
        resamples: Number of bootstrap samples.

    Returns:
        The interval; all NaN and a count of 0 without values.

    Raises:
        ValueError: the values are not one-dimensional or not finite, or the number of groups differs.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("bootstrap: expected a one-dimensional array of finite numbers")
    if groups is not None and len(groups) != len(array):
        raise ValueError(f"bootstrap: {len(groups)} groups for {len(array)} values")
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    sums, sizes = _by_group(array, groups)
    means = _resampled_means(sums, sizes, np.random.default_rng(seed), resamples)
    return _percentile(array, means, level)


def bootstrap_test(
    values: ArrayLike,
    *,
    groups: Sequence[Hashable],
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Interval, float]:
    """The mean over several runs of the same samples, and a test of mean 0; a paired test for differences.

    Runs and groups are resampled independently (the pigeonhole bootstrap, Owen 2007), so that the
    interval includes the variance of seeds and of scenes. With one run it equals `bootstrap_mean` and
    does not include the variance of seeds.

    The two-sided p-value is 1 minus the level of the interval that just reaches 0 (Davison & Hinkley
    1997, on tests by inverted intervals). It is at least 2 / (resamples + 1).

    Args:
        values: `(R, N)` finite numbers: N samples measured in each of R runs.
        groups: `(N,)` the group of each sample, such as its scene.
        level: Coverage of the interval, between 0 and 1.
        seed: The same seed gives the same interval.
        resamples: Number of bootstrap samples.

    Returns:
        The interval, all NaN and a count of 0 without values; and p in (0, 1], 1 without values.

    Raises:
        ValueError: the values are not two-dimensional or not finite, or the number of groups differs.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError("bootstrap: expected a two-dimensional array of finite numbers")
    if len(groups) != array.shape[1]:
        raise ValueError(f"bootstrap: {len(groups)} groups for {array.shape[1]} values of each run")
    if not array.size:
        return bootstrap_mean([]), 1.0
    by_run = [_by_group(row, groups) for row in array]
    sums, sizes = np.stack([own for own, _ in by_run]), by_run[0][1]
    rng = np.random.default_rng(seed)
    if len(array) == 1:
        means = _resampled_means(sums[0], sizes, rng, resamples)
    else:
        runs = rng.multinomial(len(array), np.full(len(array), 1 / len(array)), resamples)
        drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples)
        means = ((runs @ sums) * drawn).sum(axis=1) / (len(array) * (drawn @ sizes))
    beyond = min((means <= 0).sum(), (means >= 0).sum())
    return _percentile(array, means, level), float(min(1, 2 * (1 + beyond) / (resamples + 1)))


def _percentile(values: FloatArray, means: FloatArray, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high), values.size)


def _by_group(
    array: FloatArray, groups: Sequence[Hashable] | None
) -> tuple[FloatArray, FloatArray]:
    """The sum and size of each group, in the order of first occurrence."""
    if groups is None:
        return array, np.ones(len(array))
    number: dict[Hashable, int] = {}
    index = [number.setdefault(group, len(number)) for group in groups]
    return np.bincount(index, array).astype(np.float64), np.bincount(index).astype(np.float64)


def _resampled_means(
    sums: FloatArray, sizes: FloatArray, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """Means of resampled groups, computed in blocks to limit memory."""
    block = max(1, 2_000_000 // len(sums))
    means = list[FloatArray]()
    for start in range(0, resamples, block):
        drawn = rng.integers(0, len(sums), (min(block, resamples - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)
