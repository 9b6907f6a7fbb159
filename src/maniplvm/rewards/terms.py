"""Reward terms: their parameters, and the functions from a distance to a reward.

Every term is finite and lies between 0 and its weight. A `Score` reports weighted terms, so they
add up to the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from maniplvm.config import validated
from maniplvm.geometry.arrays import FloatArray


@validated
@dataclass(frozen=True)
class FractionTerm:
    """A term with a value from 0 to 1: format, IoU, (1 + GIoU) / 2, points inside the region.

    Attributes:
        weight: The maximum of the weighted term, not negative.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_not_negative(weight=self.weight)


@validated
@dataclass(frozen=True)
class DistanceTerm:
    """A term that decreases with a distance.

    Attributes:
        weight: The value at distance 0, not negative.
        k: The rate of the decrease, per unit of the distance, not negative.
        unit: `diagonal` divides the distance by the diagonal of the original image, so that the
            reward does not depend on resolution. `px` uses original pixels.
        shape: `exp` is `exp(-k d)`; `rational` is `1 / (1 + k d)`. Both have the same slope at
            the target, but `rational` keeps a slope at large distances.
        squared: Whether to use the squared distance.
    """

    weight: float = 1.0
    k: float = 10.0
    unit: Literal["diagonal", "px"] = "diagonal"
    shape: Literal["exp", "rational"] = "exp"
    squared: bool = False

    def __post_init__(self) -> None:
        _check_not_negative(weight=self.weight, k=self.k)

    def reward(self, distance_px: FloatArray, diagonal_px: FloatArray) -> FloatArray:
        """The weighted term, `(B,)`, from distances and image diagonals, `(B,)` [px]."""
        distance = distance_px / diagonal_px if self.unit == "diagonal" else distance_px
        with np.errstate(over="ignore"):  # an infinite cost is a reward of 0
            cost = self.k * (distance**2 if self.squared else distance)
        return self.weight * (np.exp(-cost) if self.shape == "exp" else 1.0 / (1.0 + cost))


@validated
@dataclass(frozen=True)
class NearMissTerm:
    """A term for a box close to the target with little or no overlap.

    It is `weight * (1 - IoU / until) / (1 + k d)` below an IoU of `until`, else 0. `d` is the mean
    distance of matching corners divided by the image diagonal. The term is continuous at `until`.

    Attributes:
        weight: The value at distance 0 and IoU 0. It must be below `until` times the weight of
            `iou`. Otherwise more overlap could score lower.
        k: The rate of the decrease, per diagonal.
        until: The IoU from which the term is 0.
    """

    weight: float = 0.3
    k: float = 10.0
    until: float = 0.5

    def __post_init__(self) -> None:
        _check_not_negative(weight=self.weight, k=self.k)
        if not 0 < self.until <= 1:
            raise ValueError(f"until: must be above 0 and at most 1, got {self.until:g}")

    def reward(
        self, iou: FloatArray, corner_distance_px: FloatArray, diagonal_px: FloatArray
    ) -> FloatArray:
        """The weighted term, `(B,)`."""
        missing = np.maximum(0.0, 1.0 - iou / self.until)
        with np.errstate(over="ignore"):  # an infinite cost is a reward of 0
            cost = self.k * (corner_distance_px / diagonal_px)
        return self.weight * missing / (1.0 + cost)


def _check_not_negative(**values: float) -> None:
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name}: must not be negative, got {value:g}")


Term: TypeAlias = FractionTerm | DistanceTerm | NearMissTerm

AFFORDANCE_TERMS: Mapping[str, type[Term]] = {
    "format": FractionTerm,
    "iou": FractionTerm,
    "giou": FractionTerm,
    "near_miss": NearMissTerm,
}
"""The terms of a box answer."""

TRAJECTORY_TERMS: Mapping[str, type[Term]] = {
    "format": FractionTerm,
    "dfd": DistanceTerm,
    "hd": DistanceTerm,
    "rmse": DistanceTerm,
    "end": DistanceTerm,
    "start": DistanceTerm,
    "dtw": DistanceTerm,
}
"""The terms of a trace answer.

They use the discrete Frechet distance, the Hausdorff distance, the RMSE after resampling, the
distances of the last and of the first points, and dynamic time warping."""

POINTING_TERMS: Mapping[str, type[Term]] = {"format": FractionTerm, "inside": FractionTerm}
"""The terms of a pointing answer. `inside` is the fraction of its points in the region."""
