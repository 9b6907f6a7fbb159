"""The reward functions that ms-swift calls."""

import pytest

from maniplvm.engines.ground_truth import write_ground_truth
from maniplvm.engines.ms_swift.reward import TOTAL, reward_classes, reward_names
from maniplvm.geometry import FRAMES
from maniplvm.rewards import score_batch
from maniplvm.rewards.presets import PRESETS
from maniplvm.tasks import Task
from tests.engines.completions import completions


class Base:
    """`swift.rewards.ORM` keeps the arguments of the run."""

    def __init__(self, args=None, **kwargs):
        self.args = args


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_reward_and_every_term_equal_the_scores_of_our_trainer(preset, family):
    spec = FRAMES[family]
    pairs = list(completions(spec))
    samples, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    truths = [write_ground_truth(each, spec) for each in samples]
    expected = score_batch(texts, samples, preset, spec)
    classes = reward_classes(preset, Base)
    assert tuple(classes) == reward_names(preset)
    got = {
        name: made(args=None)(texts, ground_truth=truths, sample_id=["x"] * len(texts))
        for name, made in classes.items()
    }
    assert got[TOTAL] == pytest.approx([score.total for score in expected], abs=1e-12, rel=0)
    assert len({round(value, 3) for value in got[TOTAL]}) > 5
    assert got["parse_rate"] == [score.answer.parsed for score in expected]
    assert got["format_rate"] == [score.answer.well_formed for score in expected]
    for name in set(classes) - {TOTAL, "parse_rate", "format_rate"}:
        task, _, term = name.partition("/")
        for each, value, score in zip(samples, got[name], expected, strict=True):
            if each.task == task:
                assert value == pytest.approx(score.terms[term], abs=1e-12, rel=0)
            else:
                assert value is None  # ms-swift leaves it out of the mean


def test_only_the_terms_of_the_recipes_tasks_are_named():
    names = reward_names("paper", [Task.AFFORDANCE])
    assert names[0] == TOTAL
    assert "affordance/iou" in names
    assert not any(name.startswith("trajectory/") for name in names)


def test_the_classes_are_those_of_the_base_class_with_their_own_names():
    for name, made in reward_classes("paper", Base).items():
        assert issubclass(made, Base)
        assert made.__name__ == name
