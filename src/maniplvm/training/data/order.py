"""Which sample stands at which place of a run: a function of the seed alone, so a run can resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]
"""The number of a stratum and of an item in it."""


@dataclass(frozen=True)
class Stratum:
    """Samples of one kind that every epoch draws from.

    Attributes:
        size: How many there are.
        per_epoch: How many an epoch takes; all of them are taken before one comes again.
    """

    size: int
    per_epoch: int


class PromptOrder:
    """The endless order of a run's prompts.

    Each epoch shuffles every stratum and spreads it evenly, so that any stretch of prompts holds
    the strata at about their shares. Nothing is remembered: place 1000 can be asked for first.
    """

    def __init__(self, strata: Sequence[Stratum], seed: int) -> None:
        self._strata = tuple(strata)
        self._seed = seed
        self.epoch_length = sum(stratum.per_epoch for stratum in strata)
        self._epoch = lru_cache(maxsize=2)(self._drawn)

    def at(self, position: int) -> Place:
        """The sample at a place, counted from 0 over all epochs."""
        epoch, within = divmod(position, self.epoch_length)
        stratum, item = self._epoch(epoch)[within].tolist()
        return stratum, item

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """The places of an epoch, `(epoch_length, 2)`."""
        places, keys = list[NDArray[np.int64]](), list[NDArray[np.float64]]()
        for number, stratum in enumerate(self._strata):
            count = stratum.per_epoch
            items = self._items(number, epoch * count, count)
            rng = np.random.default_rng([self._seed, number, epoch, 1])
            keys.append((np.arange(count) + rng.random(count)) / max(count, 1))
            places.append(np.stack([np.full(count, number), items], axis=1))
        return np.concatenate(places)[np.argsort(np.concatenate(keys), kind="stable")]

    def _items(self, number: int, start: int, count: int) -> NDArray[np.int64]:
        """`count` items of a stratum from the `start`-th draw on; each round is a permutation."""
        size = self._strata[number].size
        draws = np.arange(start, start + count)
        items = np.empty(count, dtype=np.int64)
        for turn in np.unique(draws // size) if count else ():
            shuffled = np.random.default_rng([self._seed, number, int(turn), 0]).permutation(size)
            here = draws // size == turn
            items[here] = shuffled[draws[here] % size]
        return items
