"""Adversarial answers: the doctor finds rewards that accept them, and no preset does."""

import math
import re
from collections.abc import Callable

import pytest

from maniplvm.geometry import resolve_frame
from maniplvm.rewards import PRESETS, score_batch
from maniplvm.rewards.doctor.adversarial import adversarial_probes
from maniplvm.rewards.doctor.diagnostics import IssueKind
from maniplvm.rewards.doctor.probe_scores import Scorer
from maniplvm.tasks import Sample, TraceTarget, parse_answer
from tests.rewards.doctor.fixtures import (
    LARGE,
    TINY,
    Terms,
    changed,
    issue_kinds,
    make_boxes,
    make_traces,
    message,
    preset_scorer,
    run_doctor,
)


def adversarial_message(samples: list[Sample], scorer: Scorer) -> str:
    diagnosis = run_doctor(samples, scorer)
    assert IssueKind.REWARDS_ADVERSARIAL in issue_kinds(diagnosis)
    return message(diagnosis, IssueKind.REWARDS_ADVERSARIAL)


def rescored(rewrite: Callable[[str], str]) -> Scorer:
    """The preset `paper` on texts that `rewrite` has changed."""
    scorer = preset_scorer()
    return lambda texts, samples: scorer([rewrite(text) for text in texts], samples)


def test_a_parser_that_reads_the_first_answer_tag_is_an_issue() -> None:
    def first(text: str) -> str:
        found = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
        return f"<answer>{found[1]}</answer>" if found else text

    assert "'answer tag in think, far answer'" in adversarial_message(
        make_traces(), rescored(first)
    )


def test_a_parser_that_runs_code_is_an_issue() -> None:
    def runs(text: str) -> str:
        return re.sub(r"float\('([-\d.]+)'\)", r"\1", text)

    assert "code that computes the target" in adversarial_message(make_boxes(LARGE), rescored(runs))


def test_a_distance_over_the_shorter_list_is_an_issue() -> None:
    def zipped(terms: Terms, text: str, sample: Sample) -> Terms:
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", text)[:24]]
        points = list(zip(numbers[::2], numbers[1::2], strict=False))
        assert isinstance(sample.target, TraceTarget)
        pairs = zip(reversed(points), reversed(sample.target.points.tolist()), strict=False)
        gaps = [math.dist(point, true) for point, true in pairs]
        mean = sum(gaps) / len(gaps) if gaps else math.inf
        return {"format": terms["format"], "rmse": math.exp(-10 * mean / sample.diagonal)}

    assert "rewards adversarial answers" in adversarial_message(make_traces(), changed(zipped))


def test_the_full_reward_for_a_repeated_point_is_an_issue() -> None:
    def divides_by_zero(terms: Terms, text: str, sample: Sample) -> Terms:
        value = parse_answer(text, sample.task, resolve_frame(None, sample.image_size)).value
        is_still = value is not None and bool((value == value[0]).all())
        return {**terms, **dict.fromkeys(("dfd", "hd", "rmse", "end"), 1.0)} if is_still else terms

    assert "one far point, repeated" in adversarial_message(make_traces(), changed(divides_by_zero))


def test_a_positive_or_negative_reward_for_an_empty_text_is_an_issue() -> None:
    for reward in (0.01, -0.5):
        scorer = changed(
            lambda terms, text, _, reward=reward: terms if text else {**terms, "iou": reward}
        )
        assert "'empty'" in adversarial_message(make_boxes(LARGE), scorer)


@pytest.mark.parametrize("frame", ["pixels", "qwen3_vl", "unit", "gemini_er", "embedded"])
@pytest.mark.parametrize("samples", [make_boxes(LARGE, 8), make_boxes(TINY, 8), make_traces(8)])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_no_preset_rewards_adversarial_answers(
    samples: list[Sample], preset: str, frame: str
) -> None:
    frames = [resolve_frame(frame, sample.image_size) for sample in samples]
    for probe in adversarial_probes(samples, frames):
        batch = [samples[index] for index in probe.sample_indices]
        for score in score_batch(probe.texts, batch, preset, frame):
            assert math.isfinite(score.total)
            task_reward = score.total - score.terms["format"]
            if probe.max_share == 0.0:
                assert task_reward == 0.0, probe.name
                assert score.terms["format"] == 0.0, probe.name
            else:
                assert task_reward <= probe.max_share * PRESETS[preset].max_reward(samples[0].task)
