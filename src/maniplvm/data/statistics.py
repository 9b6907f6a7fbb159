"""Statistics of a data set, to be checked before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from maniplvm.data.store import Dataset
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget


@dataclass(frozen=True)
class Spread:
    """Least value, 5 %, median, 95 % and greatest value of a quantity over the samples."""

    least: float
    low: float
    median: float
    high: float
    greatest: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of one or more values."""
        return Spread(*np.quantile(np.asarray(values), [0, 0.05, 0.5, 0.95, 1]).tolist())


@dataclass
class Statistics:
    """The statistics of one data set.

    Attributes:
        tasks: Number of samples by `(split, task)`.
        sizes: Number of samples by image size `(width, height)` [px].
        categories: Number of samples by category. Samples without a category are under `None`.
        box_sides: Width and height of every box [px].
        box_shares: Area of every box, as a fraction of its image [0..1].
        trace_points: Number of points of every trace.
        trace_lengths: Length of every trace along its path [px].
        trace_shares: Length of every trace, as a fraction of the image's diagonal.
        region_shares: Area of every region, as a fraction of its image [0..1].
    """

    tasks: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    categories: Counter[str | None] = field(default_factory=Counter[str | None])
    box_sides: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    box_shares: list[float] = field(default_factory=list[float])
    trace_points: list[float] = field(default_factory=list[float])
    trace_lengths: list[float] = field(default_factory=list[float])
    trace_shares: list[float] = field(default_factory=list[float])
    region_shares: list[float] = field(default_factory=list[float])

    def spreads(self) -> dict[str, Spread]:
        """The spread of every quantity that occurs, by its name and unit."""
        quantities: dict[str, Sequence[float]] = {
            "box width [px]": [width for width, _ in self.box_sides],
            "box height [px]": [height for _, height in self.box_sides],
            "box area [% of image]": [100 * share for share in self.box_shares],
            "trace points": self.trace_points,
            "trace length [px]": self.trace_lengths,
            "trace length [% of diagonal]": [100 * share for share in self.trace_shares],
            "region area [% of image]": [100 * share for share in self.region_shares],
        }
        return {name: Spread.of(values) for name, values in quantities.items() if values}


def describe(dataset: Dataset) -> Statistics:
    """Compute the statistics of a data set. Images are not read."""
    found = Statistics()
    for sample in dataset.samples(images=False):
        found.tasks[sample.split, str(sample.task)] += 1
        found.sizes[sample.image_size] += 1
        found.categories[sample.category] += 1
        width, height = sample.image_size
        if isinstance(sample.target, BoxTarget):
            sides = sample.target.points[1] - sample.target.points[0]
            found.box_sides.append((float(sides[0]), float(sides[1])))
            found.box_shares.append(float(sides.prod()) / (width * height))
        elif isinstance(sample.target, RegionTarget):
            found.region_shares.append(sample.target.area_px / (width * height))
        else:
            steps = np.diff(sample.target.points, axis=0)
            length = float(np.hypot(steps[:, 0], steps[:, 1]).sum())
            found.trace_points.append(float(len(sample.target.points)))
            found.trace_lengths.append(length)
            found.trace_shares.append(length / sample.diagonal)
    return found
