import math
from collections import defaultdict
from dataclasses import replace

import pytest

from maniplvm.rewards import resolve_preset, score_batch
from maniplvm.tasks import Task, write_completion
from maniplvm.training.rewards import reward_function as rewarding
from maniplvm.training.rewards.reward_function import Reward, ScoredBatch, answer_variety
from tests.training.practice import SIDE, practice_samples

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
        reward = Reward(resolve_preset(preset), lambda ids: [texts[i[0]] for i in ids], joint)
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


def test_the_reward_is_the_one_scorer_s_total(rewarded, frame):
    samples = practice_samples(2)
    texts = [write_completion(sample.target, frame, "so") for sample in samples]
    texts[1] = "no answer at all"
    totals, _ = rewarded(texts, samples)
    assert totals == [score.total for score in score_batch(texts, samples, "dense", frame)]


def test_every_term_is_logged_under_its_task_when_both_are_trained(rewarded, frame):
    samples = practice_samples(1)
    texts = [write_completion(sample.target, frame, "so") for sample in samples]
    _, logged = rewarded(texts, samples)
    preset = resolve_preset("dense")
    names = {f"reward/{task}/{name}" for task in BOTH for name in preset.terms(task)}
    assert names < set(logged)
    assert logged["parse_rate"] == [1.0] * len(samples)
    _, alone = rewarded(texts[:1], samples[:1], joint=False)
    assert {f"reward/{name}" for name in preset.terms(samples[0].task)} < set(alone)


def test_text_that_is_no_answer_earns_nothing_but_is_counted(rewarded):
    samples = practice_samples(1)
    totals, logged = rewarded(["", "\ud800", "<answer>[nan, 1, 2, 3]</answer>", "("], samples)
    assert totals == [0.0] * 4
    assert logged["parse_rate"] == [0.0] * 4


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_not_finite_stops_the_run(rewarded, monkeypatch, bad):
    def broken(*arguments):
        return [replace(score, total=bad) for score in score_batch(*arguments)]

    monkeypatch.setattr(rewarding, "score_batch", broken)
    with pytest.raises(ValueError, match="not finite"):
        rewarded(["x"], practice_samples(1)[:1])


def test_variety_tells_one_answer_for_all_from_an_answer_for_each(frame):
    samples = [s for s in practice_samples(6, ("open",)) if s.task is Task.AFFORDANCE]

    def variety(texts):
        scores = score_batch(texts, samples, "dense", frame)
        return answer_variety(ScoredBatch(samples, texts, scores), Task.AFFORDANCE)

    def box(x):
        return f"<think>a</think><answer>[{x}, 10, {x + 50}, 90]</answer>"

    assert variety([box(100)] * 6) == pytest.approx(1 / 6)
    assert variety([box(100 * i) for i in range(6)]) == 1.0
    assert variety(["nothing"] * 6) is None
