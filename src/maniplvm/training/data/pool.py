"""The samples that a recipe trains on, with images that are read on demand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import Dataset, open_dataset, scenes_in_even_order
from maniplvm.errors import UserError
from maniplvm.tasks import Sample
from maniplvm.training.config.recipe import DataSettings, Recipe
from maniplvm.training.data.order import PromptOrder, Stratum

_IMAGE_CACHE_BYTES = 256 * 2**20
"""Size of the cache of encoded images [bytes]; other images are read again."""


@dataclass(frozen=True)
class _Group:
    """Samples of one data set and task, without images."""

    source: Dataset
    samples: Sequence[Sample]


class SamplePool:
    """All samples of a recipe.

    Attributes:
        order: The order of the samples in the run.
        own_count: Number of samples from the recipe's own data set, after `data.fraction`.
    """

    def __init__(
        self, recipe: Recipe, groups: Sequence[_Group], order: PromptOrder, own_count: int
    ) -> None:
        self._recipe = recipe
        self._groups = groups
        self.order = order
        self.own_count = own_count
        self._images: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._cached_bytes = 0

    def __len__(self) -> int:
        return sum(len(group.samples) for group in self._groups)

    @property
    def samples(self) -> Iterator[Sample]:
        """All samples without their images, one data set and task after the other."""
        return (sample for group in self._groups for sample in group.samples)

    def at(self, position: int) -> Sample:
        """The sample at a position of the run, with its image.

        Raises:
            UserError: it has no image, or the data set was damaged in the meantime.
        """
        place = self.order.at(position)
        group = self._groups[place[0]]
        sample = group.samples[place[1]]
        return replace(sample, image=self._image(place, group, sample))

    def _image(self, place: tuple[int, int], group: _Group, sample: Sample) -> bytes:
        if place in self._images:
            self._images.move_to_end(place)
            return self._images[place]
        image = group.source.sample(sample.id).image
        if image is None:
            raise UserError(f"{group.source.folder}: sample {sample.id!r} has no image")
        self._images[place] = image
        self._cached_bytes += len(image)
        while self._cached_bytes > _IMAGE_CACHE_BYTES and len(self._images) > 1:
            self._cached_bytes -= len(self._images.popitem(last=False)[1])
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the recipe and reopen the data there: cheap to send and to hash."""
        return open_pool, (self._recipe,)


def open_pool(recipe: Recipe) -> SamplePool:
    """The samples of a recipe: its own data set, and each source of `data.mix` at its share.

    Raises:
        UserError: a data set or split does not exist, or holds no sample of the task.
    """
    own = chosen_samples(recipe)
    groups, strata = list[_Group](), list[Stratum]()
    own_set = open_dataset(Path(recipe.data.path))
    for task in recipe.tasks:
        samples = [sample for sample in own if sample.task is task]
        groups.append(_Group(own_set, samples))
        strata.append(Stratum(len(samples), len(samples)))
    shares = sum(source.share for source in recipe.data.mix)
    epoch = len(own) / (1 - shares)
    for source in recipe.data.mix:
        dataset = open_dataset(Path(source.path))
        samples = _samples(recipe, dataset, source.split)
        counts = _apportion(
            round(epoch * source.share) or 1,
            [sum(sample.task is task for sample in samples) for task in recipe.tasks],
        )
        for task, count in zip(recipe.tasks, counts, strict=True):
            of_task = [sample for sample in samples if sample.task is task]
            groups.append(_Group(dataset, of_task))
            strata.append(Stratum(len(of_task), count))
    return SamplePool(recipe, groups, PromptOrder(strata, recipe.seed), len(own))


def chosen_samples(recipe: Recipe) -> list[Sample]:
    """The recipe's own samples without images, after `data.fraction`, in stored order.

    Raises:
        UserError: as `open_pool`.
    """
    data: DataSettings = recipe.data
    samples = _samples(recipe, open_dataset(Path(data.path)), data.split)
    if data.fraction == 1.0:
        return samples
    scenes = scenes_in_even_order(samples, recipe.seed)
    selected = scenes[: max(1, round(len(scenes) * data.fraction))]
    chosen = {sample.id for scene in selected for sample in scene}
    return [sample for sample in samples if sample.id in chosen]


def _samples(recipe: Recipe, dataset: Dataset, split: str) -> list[Sample]:
    found = dataset.samples(split, images=False)
    samples = [sample for sample in found if sample.task in recipe.tasks]
    if not samples:
        raise UserError(
            f"{recipe.where}: {dataset.folder}, split {split!r}, holds no sample of task "
            f"{recipe.data.task}"
        )
    return samples


def _apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Integers that add up to a total and follow the weights as closely as possible."""
    exact = np.array(weights, dtype=float) * total / sum(weights)
    counts = np.floor(exact).astype(int)
    for index in np.argsort(counts - exact, kind="stable")[: total - int(counts.sum())]:
        counts[index] += 1
    return counts.tolist()
