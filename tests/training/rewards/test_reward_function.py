import math
from collections import defaultdict
from dataclasses import replace

import pytest

from maniplvm.rewards import resolve_preset, score_batch
from maniplvm.tasks import Task, write_completion
from maniplvm.training.rewards import reward_function
from maniplvm.training.rewards.reward_function import RewardFunction, ScoredBatch, answer_diversity
from tests.training.tiny_training import SIDE, tiny_samples

BOTH = (Task.AFFORDANCE, Task.TRAJECTORY)


@pytest.fixture
def frame():
    from maniplvm.geometry import FRAMES

    return FRAMES["qwen3_vl"].bind((SIDE, SIDE))


@pytest.fixture
def rewarded(frame):
    """Give completions a reward; the second value is what was logged, by name."""

    def call(texts, samples, preset="dense", joint=True):
        logged = defaultdict(list)
        reward = RewardFunction(
            resolve_preset(preset), lambda ids: [texts[i[0]] for i in ids], joint
        )
        totals = reward(
            completion_ids=[[index] for index in range(len(texts))],
            sample=samples,
            frame=[frame] * len(texts),
            log_metric=lambda name, value: logged[name].append(value),
            prompts=None,
            completions=None,
        )
        return totals, logged

    return call


def test_the_reward_is_the_total_of_the_scorer(rewarded, frame):
    samples = tiny_samples(2)
    texts = [write_completion(sample.target, frame, "so") for sample in samples]
    texts[1] = "no answer at all"
    totals, _ = rewarded(texts, samples)
    assert totals == [score.total for score in score_batch(texts, samples, "dense", frame)]


def test_every_term_is_logged_under_its_task_when_both_are_trained(rewarded, frame):
    samples = tiny_samples(1)
    texts = [write_completion(sample.target, frame, "so") for sample in samples]
    _, logged = rewarded(texts, samples)
    preset = resolve_preset("dense")
    names = {f"reward/{task}/{name}" for task in BOTH for name in preset.terms(task)}
    assert names < set(logged)
    assert logged["parse_rate"] == [1.0] * len(samples)
    _, alone = rewarded(texts[:1], samples[:1], joint=False)
    assert {f"reward/{name}" for name in preset.terms(samples[0].task)} < set(alone)


def test_text_without_an_answer_gets_no_reward_but_is_counted(rewarded):
    samples = tiny_samples(1)
    totals, logged = rewarded(["", "\ud800", "<answer>[nan, 1, 2, 3]</answer>", "("], samples)
    assert totals == [0.0] * 4
    assert logged["parse_rate"] == [0.0] * 4


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_not_finite_stops_the_run(rewarded, monkeypatch, bad):
    def broken(*arguments):
        return [replace(score, total=bad) for score in score_batch(*arguments)]

    monkeypatch.setattr(reward_function, "score_batch", broken)
    with pytest.raises(ValueError, match="not finite"):
        rewarded(["x"], tiny_samples(1)[:1])


def test_answer_diversity_separates_one_answer_for_all_from_one_for_each(frame):
    samples = [s for s in tiny_samples(6, ("open",)) if s.task is Task.AFFORDANCE]

    def diversity(texts):
        scores = score_batch(texts, samples, "dense", frame)
        return answer_diversity(ScoredBatch(samples, texts, scores), Task.AFFORDANCE)

    def box(x):
        return f"<think>a</think><answer>[{x}, 10, {x + 50}, 90]</answer>"

    assert diversity([box(100)] * 6) == pytest.approx(1 / 6)
    assert diversity([box(100 * i) for i in range(6)]) == 1.0
    assert diversity(["nothing"] * 6) is None
