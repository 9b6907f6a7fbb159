from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maniplvm.embedded.pretraining import PretrainingDataset
from maniplvm.embedded.pretraining.dataset import _crop, part_name
from maniplvm.errors import UserError


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(deadline=None)
def test_a_crop_holds_every_point_and_stays_in_the_image(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (count, 2))
    corner, fraction = _crop(points, rng)
    inside = (points - corner) / fraction
    assert inside.min() >= -1e-9
    assert inside.max() <= 1 + 1e-9
    assert corner.min() >= 0
    assert (corner + fraction).max() <= 1 + 1e-9


def test_the_image_is_sometimes_another_tasks_and_the_targets_stay(dataset):
    generators = map(np.random.default_rng, range(800))
    augmented = [
        dataset.augment(number % 40, 32, rng, absent=0.1) for number, rng in enumerate(generators)
    ]
    absent = [each for each in augmented if each.visible.part != part_name(each.example)]
    assert 0.05 < len(absent) / len(augmented) < 0.12  # the other example may have the same part
    for each in augmented:
        if each.visible.part == part_name(each.example):
            np.testing.assert_array_equal(each.box, each.visible.box)
    for each in absent:
        assert not np.array_equal(each.box, each.visible.box)
        grown = (each.box[2:] - each.box[:2]) / (each.example.box[2:] - each.example.box[:2])
        assert (grown >= 1 - 1e-9).all()  # still the box of the example, cropped


def test_the_targets_are_moved_with_the_crop(dataset):
    each = dataset.augment(0, 64, np.random.default_rng(3))
    assert each.visible.part == part_name(dataset[0])
    assert each.pixels.shape == (64, 64, 3)
    assert 0 <= each.box.min() < each.box.max() <= 1
    example = dataset[0]
    grown = (each.box[2:] - each.box[:2]) / (example.box[2:] - example.box[:2])
    assert (grown >= 1 - 1e-9).all()
    moved = (each.trace[-1] - each.trace[0]) / grown
    np.testing.assert_allclose(moved, example.trace[-1] - example.trace[0], atol=1e-9)


def test_the_same_seed_gives_the_same_augmentation(dataset):
    first, second = (dataset.augment(5, 64, np.random.default_rng(1)) for _ in range(2))
    assert first.instruction == second.instruction
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_instructions_are_those_of_the_task_and_parts_are_named(dataset):
    example = dataset[0]
    assert example.box_sample.instruction in dataset.instructions[example.category]
    assert part_name(example) in dataset.part_names


def test_an_image_with_one_target_alone_is_refused(dataset):
    alone = replace(dataset[0].box_sample, id="a/affordance")
    with pytest.raises(UserError, match="both a box and a trace"):
        PretrainingDataset([alone])
