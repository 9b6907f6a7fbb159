"""The order of prompts in a run: a function of the seed alone, so that a run can resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]
"""The index of a stratum and of an item in it."""


@dataclass(frozen=True)
class Stratum:
    """A group of samples from which every epoch draws.

    Attributes:
        size: Number of samples.
        per_epoch: Number of draws an epoch. All samples are drawn before one is repeated.
    """

    size: int
    per_epoch: int


class PromptOrder:
    """The endless sequence of prompts of a run.

    Each epoch shuffles every stratum and spreads it evenly. Any range of positions then holds the
    strata in about their proportions. Positions can be read in any order.

    Args:
        strata: The groups of samples.
        seed: The random seed.

    Attributes:
        epoch_length: Number of prompts in an epoch.
    """

    def __init__(self, strata: Sequence[Stratum], seed: int) -> None:
        self._strata = tuple(strata)
        self._seed = seed
        self.epoch_length = sum(stratum.per_epoch for stratum in strata)
        self._epoch = lru_cache(maxsize=2)(self._draw)

    def at(self, position: int) -> Place:
        """The sample at a position, counted from 0 over all epochs."""
        epoch, within = divmod(position, self.epoch_length)
        stratum, item = self._epoch(epoch)[within].tolist()
        return stratum, item

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch, shape `(epoch_length, 2)`: stratum and item."""
        places, keys = list[NDArray[np.int64]](), list[NDArray[np.float64]]()
        for number, stratum in enumerate(self._strata):
            count = stratum.per_epoch
            items = self._items(number, epoch * count, count)
            rng = np.random.default_rng([self._seed, number, epoch, 1])
            keys.append((np.arange(count) + rng.random(count)) / max(count, 1))
            places.append(np.stack([np.full(count, number), items], axis=1))
        return np.concatenate(places)[np.argsort(np.concatenate(keys), kind="stable")]

    def _items(self, number: int, start: int, count: int) -> NDArray[np.int64]:
        """`count` items of a stratum from draw `start` on; each pass over it is a permutation."""
        size = self._strata[number].size
        draws = np.arange(start, start + count)
        items = np.empty(count, dtype=np.int64)
        for repeat in np.unique(draws // size) if count else ():
            shuffled = np.random.default_rng([self._seed, number, int(repeat), 0]).permutation(size)
            here = draws // size == repeat
            items[here] = shuffled[draws[here] % size]
        return items
