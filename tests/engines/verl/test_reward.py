"""The reward function that verl calls."""

import math

import pytest

from maniplvm.engines.ground_truth import write_ground_truth
from maniplvm.engines.verl.reward import RewardFunction
from maniplvm.geometry import FRAMES
from maniplvm.rewards import score_batch
from maniplvm.rewards.presets import PRESETS
from maniplvm.tasks import Task, write_completion
from tests.engines.completions import completions
from tests.evaluation.scenery import SIZE, sample, small_set


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "embedded"])
def test_it_equals_the_scores_of_our_trainer(preset, family):
    spec = FRAMES[family]
    pairs = list(completions(spec))
    samples, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = score_batch(texts, samples, preset, spec)
    reward = RewardFunction(preset)
    assert sum(score.total > 1 for score in expected) >= len(small_set())
    for each, text, score in zip(samples, texts, expected, strict=True):
        got = reward(f"maniplvm/{each.task}", text, write_ground_truth(each, spec), {"index": 0})
        assert abs(got["score"] - score.total) <= 1e-12
        assert got["parse_rate"] == score.answer.parsed
        assert got["format_rate"] == score.answer.well_formed
        own = {name.partition("/")[2]: got[name] for name in got if name.startswith(each.task)}
        assert own == pytest.approx(score.terms, abs=1e-12, rel=0)


def test_every_sample_has_the_same_keys_and_terms_of_other_tasks_are_none():
    reward = RewardFunction("paper")
    frame = FRAMES["qwen3_vl"]
    box, trace = (
        reward("", "x", write_ground_truth(sample(task), frame))
        for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    )
    assert list(box) == list(trace)
    assert box["trajectory/dfd"] is None
    assert trace["trajectory/dfd"] == 0
    assert trace["affordance/iou"] is None


def test_a_preset_of_the_users_own_is_used():
    preset = {"name": "mine", "affordance": {"iou": {"weight": 3.0}}}
    spec, each = FRAMES["qwen2_5_vl"], sample(Task.AFFORDANCE)
    text = write_completion(each.target, spec.bind(SIZE), "the handle")
    got = RewardFunction(preset)("", text, write_ground_truth(each, spec))
    assert math.isclose(got["score"], score_batch([text], [each], preset, spec)[0].total)
    assert got["score"] > 2


def test_the_frame_is_that_of_the_resized_image():
    """64x48 becomes 56x56; a reward in original pixels would score another box."""
    spec, each = FRAMES["qwen2_5_vl"], sample(Task.AFFORDANCE)
    assert spec.bind(SIZE).view.seen == (56, 56)
    text = write_completion(each.target, spec.bind(SIZE), "the handle")
    right = RewardFunction("paper")("", text, write_ground_truth(each, spec))
    wrong = RewardFunction("paper")("", text, write_ground_truth(each, FRAMES["pixels"]))
    assert right["affordance/iou"] > 0.9
    assert wrong["affordance/iou"] < 0.7
