from dataclasses import replace

import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import ConstantBaseline, RandomBaseline
from maniplvm.evaluation.baselines import parse_split
from maniplvm.evaluation.scored import read_answer
from maniplvm.tasks import BoxTarget, Task, TraceTarget
from tests.cli.pictures import png
from tests.evaluation.scenery import sample, stored


def box(seed, xyxy, category="open"):
    return sample(Task.AFFORDANCE, category, seed, target=BoxTarget(xyxy), split="train")


def trace(seed, points, category="open"):
    return sample(Task.TRAJECTORY, category, seed, target=TraceTarget(points), split="train")


@pytest.fixture
def taught(tmp_path):
    """Three boxes and traces at one place, and one far away, all of another category."""
    low, high = [[8, 8], [16, 8], [16, 16]], [[40, 30], [48, 30], [48, 40]]
    samples = [
        *(box(seed, [8 + seed, 8, 24 + seed, 24]) for seed in range(3)),
        box(9, [40, 30, 60, 46], "close"),
        *(trace(seed, np.array(low) + [seed, 0]) for seed in range(3)),
        trace(9, high, "close"),
    ]
    return stored(tmp_path / "taught", samples)


def answers(baseline, samples):
    by_id = {each.id: each for each in samples}
    found = {said.id: read_answer(said, by_id[said.id]) for said in baseline.predict(samples)}
    assert all(answer.well_formed for answer in found.values())
    return [found[each.id].value for each in samples]


def test_the_constant_is_the_best_single_answer_of_its_teaching_split(taught):
    asked = [sample(Task.AFFORDANCE, "close"), sample(Task.TRAJECTORY, "push")]
    said_box, said_trace = answers(ConstantBaseline(str(taught), "train"), asked)
    np.testing.assert_allclose(said_box, [9, 8, 25, 24], atol=0.1)  # the middle of the three
    np.testing.assert_allclose(said_trace, [[9, 8], [17, 8], [17, 16]], atol=0.1)


def test_a_constant_for_each_category_falls_back_to_the_common_one(taught):
    asked = [sample(Task.AFFORDANCE, category) for category in ("close", "push")]
    known, unseen = answers(ConstantBaseline(str(taught), "train", per_category=True), asked)
    np.testing.assert_allclose(known, [40, 30, 60, 46], atol=0.1)
    np.testing.assert_allclose(unseen, [9, 8, 25, 24], atol=0.1)


def test_a_constant_is_a_share_of_the_picture(taught):
    large = replace(sample(Task.AFFORDANCE), image_size=(640, 480), image=png(640, 480))
    (said,) = answers(ConstantBaseline(str(taught), "train"), [large])
    np.testing.assert_allclose(said, [90, 80, 250, 240], atol=1)


def test_a_trace_that_no_answer_may_be_is_never_the_constant(tmp_path):
    long = [[float(x), 10.0] for x in range(12)]
    data = stored(tmp_path / "long", [trace(seed, long) for seed in range(3)])
    (said,) = answers(ConstantBaseline(str(data), "train"), [sample(Task.TRAJECTORY)])
    assert len(said) == 8
    np.testing.assert_allclose(said[[0, -1]], [[0, 10], [11, 10]], atol=0.1)


def test_a_split_that_does_not_teach_the_task_is_named(tmp_path):
    data = stored(tmp_path / "boxes", [box(0, [1, 1, 9, 9])])
    with pytest.raises(UserError, match="split train teaches no trajectory"):
        list(ConstantBaseline(str(data), "train").predict([sample(Task.TRAJECTORY)]))


def test_random_answers_depend_on_seed_and_sample_alone():
    asked = [sample(task, seed=seed) for seed in range(3) for task in Task]
    first = answers(RandomBaseline(1), asked)
    backwards = answers(RandomBaseline(1), asked[::-1])[::-1]
    for one, two, other in zip(first, backwards, answers(RandomBaseline(2), asked), strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("text", ["datasets/kitchen", ":train", "datasets/kitchen:"])
def test_a_teaching_split_is_named_as_dir_and_split(text):
    assert parse_split("a:b/c:train") == ("a:b/c", "train")
    with pytest.raises(UserError, match="expected DIR:SPLIT"):
        parse_split(text)
