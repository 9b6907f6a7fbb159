"""Scenes: samples that show one and the same situation, and even parts of a data set made of them."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from maniplvm.tasks.sample import Sample


def scene_of(sample: Sample) -> str:
    """What a sample shares with every other one of the same situation.

    Simulated samples of one world, task and seed are views of one scene; any other sample is a
    scene of its own, so that two questions about it do not count as two images.
    """
    origin = sample.provenance
    if "world" in origin:
        return f"{origin['world']}/{origin.get('task')}/{origin.get('seed')}"
    return sample.id


def scenes_in_even_order(samples: Iterable[Sample], seed: int) -> list[list[Sample]]:
    """Scenes in a seeded order of which every beginning holds each category at its own share.

    The order does not depend on the order of the samples, so the first half of the scenes is a
    subset of the first three quarters, and both are the same on every machine.

    Args:
        samples: Of one split, or of several.
        seed: The same seed gives the same order.

    Returns:
        The samples, by scene.
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
    """At most so many samples of each task: whole scenes, even over the categories.

    Args:
        samples: Of one split.
        most: Samples of each task at most; a scene that would exceed it is left out.
        seed: Which scenes; a smaller limit draws from the same order.

    Returns:
        The chosen samples, in the order in which they came.
    """
    taken: Counter[str] = Counter()
    chosen = set[str]()
    for scene in scenes_in_even_order(samples, seed):
        added = Counter(str(sample.task) for sample in scene)
        if all(taken[task] + count <= most for task, count in added.items()):
            taken.update(added)
            chosen.update(sample.id for sample in scene)
    return [sample for sample in samples if sample.id in chosen]
