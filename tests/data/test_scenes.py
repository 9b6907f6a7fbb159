from collections import Counter
from dataclasses import replace

import pytest

from maniplvm.data import limit_samples, scene_of, scenes_in_even_order
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget


def simulated(category, seed, view, task=Task.AFFORDANCE):
    box, trace = BoxTarget([1, 1, 9, 9]), TraceTarget([[0, 0], [5, 5], [9, 9]])
    return Sample(
        f"{category}/{seed}/{view}/{task}",
        task,
        "do it",
        (16, 16),
        box if task is Task.AFFORDANCE else trace,
        category=category,
        scene=f"w/{category}/{seed}",
    )


@pytest.fixture
def samples():
    counts = {"open": 12, "close": 12, "push": 4}
    return [
        simulated(category, seed, view, task)
        for category, scenes in counts.items()
        for seed in range(scenes)
        for view in range(2)
        for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    ]


def test_views_of_one_scene_share_it_and_other_samples_are_their_own():
    first, second = simulated("open", 3, 0), simulated("open", 3, 1)
    assert scene_of(first) == scene_of(second) != scene_of(simulated("open", 4, 0))
    assert scene_of(replace(first, scene="")) == first.id


def test_any_beginning_of_the_order_holds_each_category_at_its_share(samples):
    order = scenes_in_even_order(samples, seed=5)
    assert sum(map(len, order)) == len(samples)
    for count in (7, 14, 21, 28):
        shares = Counter(scene[0].category for scene in order[:count])
        assert abs(shares["push"] - count / 7) <= 1
        assert abs(shares["open"] - shares["close"]) <= 1


def test_the_order_depends_on_the_seed_alone(samples):
    def names(order):
        return [scene_of(scene[0]) for scene in order]

    order = names(scenes_in_even_order(samples, 1))
    assert order == names(scenes_in_even_order(samples[::-1], 1))
    assert order != names(scenes_in_even_order(samples, 2))


def test_a_limit_keeps_scenes_whole_and_counts_each_task(samples):
    few = limit_samples(samples, 9, seed=0)
    counts = Counter(sample.task for sample in few)
    assert set(counts.values()) == {8}
    views = Counter(scene_of(sample) for sample in few)
    assert set(views.values()) == {4}
    assert {sample.id for sample in few} <= {s.id for s in limit_samples(samples, 20, seed=0)}
    assert [s.id for s in limit_samples(samples, 10_000, seed=0)] == [s.id for s in samples]


def test_a_limit_ignores_the_keys_of_a_provenance(samples):
    plain = [
        replace(sample, scene="", category=None, provenance={"world": "kitchen"})
        for sample in samples
    ]
    assert len(limit_samples(plain, 9, seed=0)) == 18
