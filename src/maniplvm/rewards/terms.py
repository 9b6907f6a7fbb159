"""Reward terms: what each one measures and how a distance becomes a reward.

Every term lies between 0 and its weight and is finite whatever the answer. Term values reported
in a `Score` are weighted, so that they add up to the total.
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
class Flat:
    """A term that is already a share of 1: the format, IoU, (1 + GIoU) / 2, points inside.

    Attributes:
        weight: Its value at best, not negative.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        _refuse_negative(weight=self.weight)


@validated
@dataclass(frozen=True)
class Distance:
    """A term that falls with a distance.

    Attributes:
        weight: Its value at distance 0, not negative.
        k: How fast it falls, per unit of the distance, not negative.
        unit: `diagonal` divides the distance by the original image's diagonal, so that the reward
            does not depend on resolution; `px` leaves original pixels.
        shape: `exp` is `exp(-k d)`; `rational` is `1 / (1 + k d)`: the same slope at the target,
            but a far answer still feels which way is better.
        squared: Use the squared distance.
    """

    weight: float = 1.0
    k: float = 10.0
    unit: Literal["diagonal", "px"] = "diagonal"
    shape: Literal["exp", "rational"] = "exp"
    squared: bool = False

    def __post_init__(self) -> None:
        _refuse_negative(weight=self.weight, k=self.k)

    def reward(self, distance_px: FloatArray, diagonal_px: FloatArray) -> FloatArray:
        """The weighted term, `(B,)`, from distances and image diagonals, `(B,)` [px]."""
        distance = distance_px / diagonal_px if self.unit == "diagonal" else distance_px
        cost = self.k * (distance**2 if self.squared else distance)
        return self.weight * (np.exp(-cost) if self.shape == "exp" else 1.0 / (1.0 + cost))


@validated
@dataclass(frozen=True)
class NearMiss:
    """Credit for a box that overlaps little or not at all but lies close.

    `weight * (1 - IoU / until) / (1 + k d)` below an IoU of `until`, else 0; `d` is the mean
    distance of matching corners over the image's diagonal. From `until` upwards the box reward
    is plain IoU, and the credit is continuous there.

    Attributes:
        weight: The credit at distance 0 and IoU 0; it must stay below `until`, else more overlap
            could earn less.
        k: How fast the credit falls, per diagonal.
        until: The IoU at which the credit ends.
    """

    weight: float = 0.3
    k: float = 10.0
    until: float = 0.5

    def __post_init__(self) -> None:
        _refuse_negative(weight=self.weight, k=self.k)
        if not 0 < self.until <= 1:
            raise ValueError(f"until: must be above 0 and at most 1, got {self.until:g}")

    def reward(
        self, iou: FloatArray, corner_distance_px: FloatArray, diagonal_px: FloatArray
    ) -> FloatArray:
        """The weighted term, `(B,)`."""
        missing = np.maximum(0.0, 1.0 - iou / self.until)
        return self.weight * missing / (1.0 + self.k * corner_distance_px / diagonal_px)


def _refuse_negative(**values: float) -> None:
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name}: must not be negative, got {value:g}")


Term: TypeAlias = Flat | Distance | NearMiss

AFFORDANCE_TERMS: Mapping[str, type[Term]] = {
    "format": Flat,
    "iou": Flat,
    "giou": Flat,
    "near_miss": NearMiss,
}
"""What a box answer can be scored by."""

TRAJECTORY_TERMS: Mapping[str, type[Term]] = {
    "format": Flat,
    "dfd": Distance,
    "hd": Distance,
    "rmse": Distance,
    "end": Distance,
    "start": Distance,
    "dtw": Distance,
}
"""What a trace answer can be scored by: discrete Frechet, Hausdorff, RMSE after resampling, the
distances of the last and of the first points, and dynamic time warping."""

POINTING_TERMS: Mapping[str, type[Term]] = {"format": Flat, "inside": Flat}
"""What a pointing answer can be scored by: the share of its points that lie in the region."""
