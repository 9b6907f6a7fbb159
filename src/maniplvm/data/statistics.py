"""What a data set holds, in numbers: to be read before anyone trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from maniplvm.data.store import Dataset
from maniplvm.tasks.targets import BoxTarget, RegionTarget


@dataclass(frozen=True)
class Spread:
    """How a quantity is spread over the samples: least, 5 %, median, 95 % and greatest value."""

    least: float
    low: float
    median: float
    high: float
    greatest: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return Spread(*np.quantile(np.asarray(values), [0, 0.05, 0.5, 0.95, 1]).tolist())


@dataclass
class Statistics:
    """The numbers of one data set.

    Attributes:
        tasks: Samples by `(split, task)`.
        sizes: Samples by image size `(width, height)` [px].
        categories: Samples by category; those without one are under `None`.
        box_sides: Width and height of every box [px].
        box_shares: Area of every box, as a share of its image [0..1].
        trace_points: The number of points of every trace.
        trace_lengths: The length of every trace along its path [px].
        trace_shares: The same as a share of the image's diagonal.
        region_shares: Area of every region, as a share of its image [0..1].
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
        """The spread of every quantity that occurs, under its name and unit."""
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
    """Read every sample without its image and collect the numbers."""
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
