from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maniplvm.embedded.pretraining import Lessons
from maniplvm.embedded.pretraining.dataset import _crop, part_of
from maniplvm.errors import UserError


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(deadline=None)
def test_a_crop_holds_every_point_and_stays_in_the_image(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (count, 2))
    corner, share = _crop(points, rng)
    inside = (points - corner) / share
    assert inside.min() >= -1e-9
    assert inside.max() <= 1 + 1e-9
    assert corner.min() >= 0
    assert (corner + share).max() <= 1 + 1e-9


def test_now_and_then_the_image_is_another_tasks_and_the_answer_stays(lessons):
    chances = map(np.random.default_rng, range(800))
    views = [lessons.show(number % 40, 32, rng, absent=0.1) for number, rng in enumerate(chances)]
    absent = [view for view in views if view.shown.part != part_of(view.lesson)]
    assert 0.05 < len(absent) / len(views) < 0.12  # the other lesson may show the same part
    for view in views:
        if view.shown.part == part_of(view.lesson):
            np.testing.assert_array_equal(view.box, view.shown.box)
    for view in absent:
        assert not np.array_equal(view.box, view.shown.box)
        grown = (view.box[2:] - view.box[:2]) / (view.lesson.box[2:] - view.lesson.box[:2])
        assert (grown >= 1 - 1e-9).all()  # still the asked lesson's own box, cropped


def test_a_view_shows_the_target_where_the_crop_puts_it(lessons):
    view = lessons.show(0, 64, np.random.default_rng(3))
    assert view.shown.part == part_of(lessons[0])
    assert view.pixels.shape == (64, 64, 3)
    assert 0 <= view.box.min() < view.box.max() <= 1
    lesson = lessons[0]
    grown = (view.box[2:] - view.box[:2]) / (lesson.box[2:] - lesson.box[:2])
    assert (grown >= 1 - 1e-9).all()
    moved = (view.trace[-1] - view.trace[0]) / grown
    np.testing.assert_allclose(moved, lesson.trace[-1] - lesson.trace[0], atol=1e-9)


def test_the_same_seed_shows_the_same_view(lessons):
    first, second = (lessons.show(5, 64, np.random.default_rng(1)) for _ in range(2))
    assert first.instruction == second.instruction
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_wordings_are_those_of_the_task_and_parts_are_named(lessons):
    lesson = lessons[0]
    assert lesson.box_sample.instruction in lessons.wordings[lesson.category]
    assert part_of(lesson) in lessons.parts


def test_images_with_one_target_alone_are_no_lesson(lessons):
    alone = replace(lessons[0].box_sample, id="a/affordance")
    with pytest.raises(UserError, match="both a box and a trace"):
        Lessons([alone])
