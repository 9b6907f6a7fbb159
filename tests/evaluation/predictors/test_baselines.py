from dataclasses import replace

import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import (
    BASELINES,
    ConstantBaseline,
    NearestInstructionBaseline,
    RandomBaseline,
    resolve_baseline,
)
from maniplvm.evaluation.predictors.baselines import parse_split
from maniplvm.evaluation.predictors.baselines.nearest_instruction import InstructionIndex
from maniplvm.evaluation.scoring import read_answer
from maniplvm.tasks import BoxTarget, RegionTarget, Task, TraceTarget
from tests.cli.images import png
from tests.evaluation.scenery import sample, stored


def box(seed, xyxy, category="open"):
    return sample(Task.AFFORDANCE, category, seed, target=BoxTarget(xyxy), split="train")


def trace(seed, points, category="open"):
    return sample(Task.TRAJECTORY, category, seed, target=TraceTarget(points), split="train")


@pytest.fixture
def fitted_data(tmp_path):
    """Three boxes and traces at one place, and one far away, all of another category."""
    low, high = [[8, 8], [16, 8], [16, 16]], [[40, 30], [48, 30], [48, 40]]
    samples = [
        *(box(seed, [8 + seed, 8, 24 + seed, 24]) for seed in range(3)),
        box(9, [40, 30, 60, 46], "close"),
        *(trace(seed, np.array(low) + [seed, 0]) for seed in range(3)),
        trace(9, high, "close"),
    ]
    return stored(tmp_path / "data", samples)


def answers(baseline, samples):
    by_id = {each.id: each for each in samples}
    found = {
        prediction.id: read_answer(prediction, by_id[prediction.id])
        for prediction in baseline.predict(samples)
    }
    assert all(answer.well_formed for answer in found.values())
    return [found[each.id].value for each in samples]


def test_the_constant_is_the_best_single_answer_of_its_split(fitted_data):
    asked = [sample(Task.AFFORDANCE, "close"), sample(Task.TRAJECTORY, "push")]
    predicted_box, predicted_trace = answers(ConstantBaseline(str(fitted_data), "train"), asked)
    np.testing.assert_allclose(predicted_box, [9, 8, 25, 24], atol=0.1)  # the middle of the three
    np.testing.assert_allclose(predicted_trace, [[9, 8], [17, 8], [17, 16]], atol=0.1)


def test_an_unknown_category_gets_the_overall_constant(fitted_data):
    asked = [sample(Task.AFFORDANCE, category) for category in ("close", "push")]
    known, unseen = answers(ConstantBaseline(str(fitted_data), "train", per_category=True), asked)
    np.testing.assert_allclose(known, [40, 30, 60, 46], atol=0.1)
    np.testing.assert_allclose(unseen, [9, 8, 25, 24], atol=0.1)


def test_a_constant_is_a_share_of_the_image(fitted_data):
    large = replace(sample(Task.AFFORDANCE), image_size=(640, 480), image=png(640, 480))
    (prediction,) = answers(ConstantBaseline(str(fitted_data), "train"), [large])
    np.testing.assert_allclose(prediction, [90, 80, 250, 240], atol=1)


def test_a_trace_with_too_many_points_is_never_the_constant(tmp_path):
    long = [[float(x), 10.0] for x in range(12)]
    data = stored(tmp_path / "long", [trace(seed, long) for seed in range(3)])
    (prediction,) = answers(ConstantBaseline(str(data), "train"), [sample(Task.TRAJECTORY)])
    assert len(prediction) == 8
    np.testing.assert_allclose(prediction[[0, -1]], [[0, 10], [11, 10]], atol=0.1)


def test_a_split_without_the_task_is_named(tmp_path):
    data = stored(tmp_path / "boxes", [box(0, [1, 1, 9, 9])])
    with pytest.raises(UserError, match="split train has no trajectory sample to fit to"):
        list(ConstantBaseline(str(data), "train").predict([sample(Task.TRAJECTORY)]))


def test_random_answers_depend_on_seed_and_sample_alone():
    asked = [
        sample(task, seed=seed) for seed in range(3) for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    ]
    first = answers(RandomBaseline(1), asked)
    backwards = answers(RandomBaseline(1), asked[::-1])[::-1]
    for one, two, other in zip(first, backwards, answers(RandomBaseline(2), asked), strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("text", ["datasets/kitchen", ":train", "datasets/kitchen:"])
def test_a_split_is_given_as_dir_and_split(text):
    assert parse_split("a:b/c:train") == ("a:b/c", "train")
    with pytest.raises(UserError, match="expected DIR:SPLIT"):
        parse_split(text)


def instructed_box(instruction, xyxy, seed=0):
    return replace(box(seed, xyxy, instruction.split()[0]), instruction=instruction)


@pytest.fixture
def instructed(tmp_path):
    """Three instructions; one of them with two views whose boxes differ a little."""
    samples = [
        instructed_box("open the top drawer", [0, 0, 8, 8]),
        instructed_box("close the red door", [20, 20, 30, 30]),
        instructed_box("press the button of the coffee machine", [40, 8, 50, 18], 0),
        instructed_box("press the button of the coffee machine", [42, 8, 52, 18], 1),
        instructed_box("press the button of the coffee machine", [44, 8, 54, 18], 2),
        trace(0, [[8, 8], [16, 8], [16, 16]]),
    ]
    return str(stored(tmp_path / "instructed", samples))


def asked(*instructions):
    return [
        replace(sample(Task.AFFORDANCE, seed=seed), instruction=instruction)
        for seed, instruction in enumerate(instructions)
    ]


def test_the_answer_is_that_of_the_nearest_instruction(instructed):
    questions = asked("Close the door, please!", "the drawer: open it", "use the coffee machine")
    door, drawer, coffee = answers(NearestInstructionBaseline(instructed, "train"), questions)
    np.testing.assert_allclose(door, [20, 20, 30, 30], atol=0.1)
    np.testing.assert_allclose(drawer, [0, 0, 8, 8], atol=0.1)
    np.testing.assert_allclose(coffee, [42, 8, 52, 18], atol=0.1)  # the best of the three


def test_the_nearest_instruction_is_of_the_same_task_and_a_share_of_the_image(instructed):
    large = replace(asked("close the red door")[0], image_size=(640, 480), image=png(640, 480))
    path = sample(Task.TRAJECTORY)
    predicted_box, predicted_trace = answers(
        NearestInstructionBaseline(instructed, "train"), [large, path]
    )
    np.testing.assert_allclose(predicted_box, [200, 200, 300, 300], atol=1)
    np.testing.assert_allclose(predicted_trace, [[8, 8], [16, 8], [16, 16]], atol=0.1)


def test_an_instruction_of_unknown_words_gets_the_constant(instructed):
    question = asked("jump")
    (prediction,) = answers(NearestInstructionBaseline(instructed, "train"), question)
    (constant,) = answers(ConstantBaseline(instructed, "train"), question)
    np.testing.assert_array_equal(prediction, constant)


def test_answers_do_not_depend_on_the_other_samples(instructed):
    questions = asked("close it", "open it", "press it", "touch the machine")
    forth = answers(NearestInstructionBaseline(instructed, "train"), questions)
    back = answers(NearestInstructionBaseline(instructed, "train"), questions[::-1])[::-1]
    np.testing.assert_array_equal(forth, back)


def test_rare_words_weigh_more_than_common_ones():
    index = InstructionIndex(["open the top drawer", "open the door", "close the top box"])
    assert index.nearest("the drawer of the top") == [0]
    assert index.nearest("open") == [1]  # the shortest of those that hold it
    assert index.nearest("drawer") == [0]


def test_similarity_is_a_cosine():
    index = InstructionIndex(["open the door", "Door, the: OPEN", "lift a cup"])
    np.testing.assert_allclose(index.similarities("open the door"), [1, 1, 0])
    assert index.nearest("open the door") == [0, 1]
    np.testing.assert_array_equal(index.similarities("?"), 0)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_can_point(tmp_path, name):
    regions = [[8, 8, 16, 16], [10, 8, 18, 16], [9, 8, 17, 16]]
    samples = [
        sample(
            Task.POINTING, seed=seed, split="train", target=RegionTarget.of_boxes([regions[seed]])
        )
        for seed in range(3)
    ]
    data = stored(tmp_path / "regions", samples)
    baseline = resolve_baseline(f"baseline:{name}", f"{data}:train")
    for each, points in zip(samples, answers(baseline, samples), strict=True):
        assert points.shape == (1, 2)
        assert name == "random" or each.target.contains(points).all()


def test_baselines_are_found_by_name(instructed):
    for name in BASELINES:
        assert (
            resolve_baseline(f"baseline:{name}", f"{instructed}:train").name == f"baseline:{name}"
        )
    assert resolve_baseline("baseline:random", seed=4).settings == {"seed": 4}
    with pytest.raises(UserError, match="unknown baseline 'best'; choose from baseline:constant,"):
        resolve_baseline("baseline:best")
    with pytest.raises(UserError, match="add --baseline-data DIR:SPLIT"):
        resolve_baseline("baseline:nearest-instruction")
    with pytest.raises(UserError, match="split train has no pointing sample to fit to"):
        list(
            NearestInstructionBaseline(instructed, "train").predict(
                [sample(Task.POINTING, target=RegionTarget.of_boxes([[1, 1, 9, 9]]))]
            )
        )
