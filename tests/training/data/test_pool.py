import pickle
from collections import Counter

import pytest

from maniplvm.data import scene_of
from maniplvm.errors import UserError
from maniplvm.tasks import Task
from maniplvm.training.data.pool import chosen_samples, open_pool


def ids(samples):
    return {sample.id for sample in samples}


def test_a_smaller_fraction_is_a_subset_even_over_categories_and_of_whole_scenes(tiny_setup):
    parts = [
        chosen_samples(tiny_setup.recipe("sft", data={"fraction": fraction}))
        for fraction in (0.25, 0.5, 1.0)
    ]
    assert ids(parts[0]) < ids(parts[1]) < ids(parts[2])
    assert [len(part) for part in parts] == [6, 12, 24]
    for part in parts:
        categories = Counter(sample.category for sample in part)
        assert max(categories.values()) - min(categories.values()) <= 2
        assert set(Counter(scene_of(sample) for sample in part).values()) == {2}


def test_a_fraction_that_rounds_to_nothing_keeps_a_scene(tiny_setup):
    assert len(chosen_samples(tiny_setup.recipe("sft", data={"fraction": 0.001}))) == 2


def test_a_single_task_trains_on_that_task_alone(tiny_setup):
    pool = open_pool(tiny_setup.recipe("sft", data={"task": "trajectory"}))
    assert len(pool) == pool.own_count == 12
    assert {pool.at(place).task for place in range(24)} == {Task.TRAJECTORY}


@pytest.mark.parametrize(("share", "others"), [(0.25, 8), (0.5, 24)])
def test_the_mix_makes_up_its_share_of_an_epoch(tiny_setup, share, others):
    mix = [{"path": str(tiny_setup.data), "split": "other", "share": share}]
    pool = open_pool(tiny_setup.recipe("sft", data={"mix": mix}))
    epoch = [pool.at(place) for place in range(pool.order.epoch_length)]
    assert Counter(sample.split for sample in epoch) == {"train": 24, "other": others}
    assert Counter(s.task for s in epoch if s.split == "other") == dict.fromkeys(
        (Task.AFFORDANCE, Task.TRAJECTORY), others // 2
    )


def test_samples_come_with_their_own_image(tiny_setup):
    pool = open_pool(tiny_setup.recipe("sft"))
    images = {(s.provenance["seed"], s.image) for s in map(pool.at, range(48))}
    assert len(images) == 6
    assert all(image for _, image in images)


def test_a_pool_is_sent_to_a_worker_as_its_recipe_alone(tiny_setup):
    pool = open_pool(tiny_setup.recipe("sft"))
    pool.at(0)
    sent = pickle.dumps(pool)
    assert len(sent) < 4000
    assert pickle.loads(sent).at(5) == pool.at(5)  # noqa: S301 - our own


def test_a_split_without_the_task_is_one_line(tiny_setup):
    with pytest.raises(UserError, match=r"tiny\.yaml.*no split 'nowhere'|nowhere"):
        open_pool(tiny_setup.recipe("sft", data={"split": "nowhere"}))
