"""Scenes: groups of samples that show the same situation, and subsets made of whole scenes."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from maniplvm.tasks.sample import Sample


def scene_of(sample: Sample) -> str:
    """The scene of a sample: its own id where it states none."""
    return sample.scene or sample.id


def scenes_in_even_order(samples: Iterable[Sample], seed: int) -> list[list[Sample]]:
    """All scenes in a seeded order, balanced over the categories.

    Any first N scenes hold each category in its overall proportion. The order does not depend on
    the order of the samples. A smaller subset is therefore part of every larger one.

    Args:
        samples: Samples of one or more splits.
        seed: Seed of the order.

    Returns:
        One list of samples for each scene.
    """
    scenes: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        scenes.setdefault((sample.category or "", scene_of(sample)), []).append(sample)
    by_category: dict[str, list[str]] = {}
    for category, scene in sorted(scenes):
        by_category.setdefault(category, []).append(scene)
    placed = list[tuple[float, str, str]]()
    for category, names in by_category.items():
        rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
        start = float(rng.random())
        order: list[int] = rng.permutation(len(names)).tolist()
        for rank, index in enumerate(order):
            placed.append(((rank + start) / len(names), category, names[index]))
    return [scenes[category, scene] for _, category, scene in sorted(placed)]


def limit_samples(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """A subset of whole scenes, balanced over the categories.

    Args:
        samples: Samples of one split.
        most: Greatest number of samples of each task. A scene that would exceed it is left out.
        seed: Seed of the order of the scenes; see `scenes_in_even_order`.

    Returns:
        The chosen samples, in their original order.
    """
    taken: Counter[str] = Counter()
    chosen = set[str]()
    for scene in scenes_in_even_order(samples, seed):
        added = Counter(str(sample.task) for sample in scene)
        if all(taken[task] + count <= most for task, count in added.items()):
            taken.update(added)
            chosen.update(sample.id for sample in scene)
    return [sample for sample in samples if sample.id in chosen]
