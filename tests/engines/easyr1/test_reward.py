"""The reward function that EasyR1 calls, with its documented contract for type `batch`."""

import pytest

from maniplvm.engines.easyr1.reward import RewardFunction
from maniplvm.engines.ground_truth import write_ground_truth
from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.rewards import score_batch
from maniplvm.rewards.presets import PRESETS
from tests.engines.completions import completions


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_list_of_completions_becomes_a_list_of_scores_of_our_trainer(preset, family):
    spec = FRAMES[family]
    pairs = list(completions(spec))
    samples, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = score_batch(texts, samples, preset, spec)
    inputs = [
        {
            "response": text,
            "response_length": len(text),
            "ground_truth": write_ground_truth(each, spec),
        }
        for each, text in zip(samples, texts, strict=True)
    ]
    got = RewardFunction(preset)(inputs)
    assert isinstance(got, list)
    assert len(got) == len(inputs)
    assert len({round(each["overall"], 3) for each in got}) > 5
    for each, scored, score in zip(samples, got, expected, strict=True):
        assert all(type(value) is float for value in scored.values())  # EasyR1 averages each name
        assert abs(scored["overall"] - score.total) <= 1e-12
        assert scored["parse_rate"] == score.answer.parsed
        assert scored["format_rate"] == score.answer.well_formed
        terms = {name.partition("/")[2]: scored[name] for name in scored if "/" in name}
        assert terms == pytest.approx(score.terms, abs=1e-12, rel=0)
        assert all(name.startswith(f"{each.task}/") for name in scored if "/" in name)


def test_an_empty_batch_has_no_scores_and_a_foreign_ground_truth_is_refused():
    assert RewardFunction("paper")([]) == []
    foreign = {"response": "x", "response_length": 1, "ground_truth": "42"}
    with pytest.raises(UserError, match="is not of the format"):
        RewardFunction("paper")([foreign])
