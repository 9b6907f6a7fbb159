"""Each check finds its issue in a faulty reward, and no other issue."""

import json
import math

import numpy as np
import pytest

from maniplvm.geometry import discrete_frechet, resolve_frame
from maniplvm.rewards import PRESETS, Preset
from maniplvm.rewards.doctor.diagnose import diagnose
from maniplvm.rewards.doctor.diagnostics import IssueKind
from maniplvm.rewards.doctor.probes import ProbeKind
from maniplvm.tasks import Sample, Task, TraceTarget, parse_answer
from tests.rewards.doctor.fixtures import (
    LARGE,
    PUBLISHED,
    TINY,
    Terms,
    changed,
    issue_kinds,
    make_boxes,
    make_traces,
    message,
    run_doctor,
)


def test_iou_is_saturated_on_tiny_boxes_and_the_message_recommends_dense() -> None:
    diagnosis = run_doctor(make_boxes(TINY), "paper")
    assert IssueKind.SATURATED in issue_kinds(diagnosis)
    assert "preset dense" in message(diagnosis, IssueKind.SATURATED)
    assert not diagnosis.passed


def test_the_published_constants_are_saturated_on_traces() -> None:
    diagnosis = run_doctor(make_traces(), Preset.from_yaml(PUBLISHED))
    assert issue_kinds(diagnosis) == [IssueKind.SATURATED]
    assert "unit: diagonal" in message(diagnosis, IssueKind.SATURATED)
    (issue,) = diagnosis.issues
    assert 0 < issue.measured < 0.01
    (near,) = (p for p in diagnosis.of(ProbeKind.OFFSET) if p.level == 5.0)
    assert near.total - near.terms["format"] == pytest.approx(0.0073, rel=0.1)


def test_the_published_constants_are_saturated_on_tiny_boxes() -> None:
    diagnosis = run_doctor(make_boxes(TINY), Preset.from_yaml(PUBLISHED))
    assert IssueKind.SATURATED in issue_kinds(diagnosis)


def test_a_success_threshold_is_saturated() -> None:
    def success(terms: Terms, text: str, sample: Sample) -> Terms:
        return {"format": terms["format"], "success": float(terms["iou"] > 0.5)}

    assert IssueKind.SATURATED in issue_kinds(run_doctor(make_boxes(LARGE), changed(success)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_found_in_any_text(value: float) -> None:
    def breaks(terms: Terms, text: str, sample: Sample) -> Terms:
        return {**terms, "end": value} if "1e999" in text else terms

    diagnosis = run_doctor(make_traces(), changed(breaks))
    assert issue_kinds(diagnosis) == [IssueKind.NOT_FINITE]
    assert "1e999" in message(diagnosis, IssueKind.NOT_FINITE)


def test_a_reward_that_is_never_finite_is_an_issue_and_no_exception() -> None:
    diagnosis = run_doctor(
        make_traces(20), changed(lambda terms, *_: dict.fromkeys(terms, math.nan))
    )
    assert IssueKind.NOT_FINITE in issue_kinds(diagnosis)
    assert diagnosis.to_json()["probes"][0]["total"] is None
    json.dumps(diagnosis.to_json(), allow_nan=False)


@pytest.mark.parametrize("reward", [0.0, 0.7])
def test_a_reward_with_one_value_is_constant(reward: float) -> None:
    def constant(terms: Terms, text: str, sample: Sample) -> Terms:
        return {"format": terms["format"], "iou": reward * terms["format"]}

    diagnosis = run_doctor(make_boxes(LARGE), changed(constant))
    assert issue_kinds(diagnosis)[0] is IssueKind.CONSTANT_REWARD
    assert IssueKind.SATURATED not in issue_kinds(diagnosis)
    assert f"gets {reward:.3g}" in message(diagnosis, IssueKind.CONSTANT_REWARD)


@pytest.mark.parametrize("term", ["dfd", "hd", "rmse", "end"])
def test_the_message_names_the_constant_term(term: str) -> None:
    diagnosis = run_doctor(make_traces(), changed(lambda terms, *_: {**terms, term: 0.0}))
    assert issue_kinds(diagnosis) == [IssueKind.CONSTANT_TERM]
    assert f"constant term: {term} is 0 " in message(diagnosis, IssueKind.CONSTANT_TERM)


def test_a_term_with_k_zero_is_constant() -> None:
    settings = {"format": {}, "dfd": {}, "hd": {"k": 0.0}}
    preset = Preset.from_mapping({"name": "flat", "trajectory": settings})
    diagnosis = run_doctor(make_traces(), preset)
    assert IssueKind.CONSTANT_TERM in issue_kinds(diagnosis)


def test_a_frame_that_is_too_coarse_for_the_targets_is_found() -> None:
    boxes = make_boxes((3.0, 3.0))
    coarse = diagnose(boxes, PRESETS["dense"], np.random.default_rng(0), "embedded")
    assert IssueKind.LOW_TARGET_SCORE in issue_kinds(coarse)
    assert "frame embedded" in message(coarse, IssueKind.LOW_TARGET_SCORE)
    fine = diagnose(boxes, PRESETS["dense"], np.random.default_rng(0), "unit")
    assert IssueKind.LOW_TARGET_SCORE not in issue_kinds(fine)


def test_the_message_gives_the_percentage_of_targets_with_reward_zero() -> None:
    def half(terms: Terms, text: str, sample: Sample) -> Terms:
        is_lost = int(sample.id.split("-")[1]) % 2 == 0
        return {"format": terms["format"], "iou": 0.0 if is_lost else terms["iou"]}

    diagnosis = run_doctor(make_boxes(LARGE), changed(half))
    assert "50 % of the targets" in message(diagnosis, IssueKind.LOW_TARGET_SCORE)


def test_a_reward_that_rises_with_the_error_is_not_monotone() -> None:
    def bump(terms: Terms, text: str, sample: Sample) -> Terms:
        value = parse_answer(text, sample.task, resolve_frame(None, sample.image_size)).value
        if value is None:
            return terms
        assert isinstance(sample.target, TraceTarget)
        distance = float(discrete_frechet(value, sample.target.points)) / sample.diagonal
        return {**terms, "dfd": terms["dfd"] + 2.0 * math.exp(-(((distance - 0.1) / 0.02) ** 2))}

    diagnosis = run_doctor(make_traces(), changed(bump))
    assert issue_kinds(diagnosis) == [IssueKind.NOT_MONOTONE]
    assert "from offset 5 % to offset 10 %" in message(diagnosis, IssueKind.NOT_MONOTONE)


def test_giou_alone_is_beaten_by_the_whole_image_on_tiny_boxes() -> None:
    giou = Preset.from_mapping({"name": "giou", "affordance": {"format": {}, "giou": {}}})
    tiny = run_doctor(make_boxes(TINY), giou)
    assert issue_kinds(tiny) == [IssueKind.BEATEN_BY_CONSTANT]
    assert "'whole image'" in message(tiny, IssueKind.BEATEN_BY_CONSTANT)
    assert tiny.issues[0].measured == pytest.approx(0.5, abs=0.01)
    assert run_doctor(make_boxes(LARGE), giou).passed


def test_similar_targets_are_beaten_by_one_of_them() -> None:
    first = make_traces(1)[0].target.points
    rng = np.random.default_rng(3)
    samples = [
        Sample(f"s-{i}", Task.TRAJECTORY, "go", (640, 480), TraceTarget(first + rng.normal(0, 3)))
        for i in range(30)
    ]
    assert IssueKind.BEATEN_BY_CONSTANT in issue_kinds(run_doctor(samples, "paper"))


def test_a_reward_for_large_boxes_is_not_highest_at_the_target() -> None:
    def large(terms: Terms, text: str, sample: Sample) -> Terms:
        box = parse_answer(text, sample.task, resolve_frame(None, sample.image_size)).value
        share = 0.0 if box is None else (box[2] - box[0]) * (box[3] - box[1]) / 640 / 480
        return {**terms, "iou": terms["iou"] + 1.5 * share}

    diagnosis = run_doctor(make_boxes(LARGE), changed(large))
    assert IssueKind.NOT_HIGHEST_AT_TARGET in issue_kinds(diagnosis)
    assert "'whole image'" in message(diagnosis, IssueKind.NOT_HIGHEST_AT_TARGET)


def test_a_reversed_reward_is_not_highest_at_the_target() -> None:
    def reverse(terms: Terms, text: str, sample: Sample) -> Terms:
        return {name: value if name == "format" else 1 - value for name, value in terms.items()}

    kinds = issue_kinds(run_doctor(make_traces(), changed(reverse)))
    assert IssueKind.NOT_HIGHEST_AT_TARGET in kinds
    assert IssueKind.NOT_MONOTONE in kinds


def test_a_reward_in_pixels_has_issues_on_images_of_any_size() -> None:
    published = Preset.from_yaml(PUBLISHED)
    small = run_doctor(make_traces(size=(160, 160)), published)
    assert "4 times as large" in message(small, IssueKind.DEPENDS_ON_SIZE)
    for size in ((320, 240), (640, 480), (1920, 1080)):
        assert not run_doctor(make_traces(size=size), published).passed


def test_a_reward_of_zero_does_not_depend_on_image_size() -> None:
    nothing = run_doctor(
        make_traces(), changed(lambda terms, _text, _sample: dict.fromkeys(terms, 0.0))
    )
    assert issue_kinds(nothing) == [IssueKind.CONSTANT_REWARD]
    lost = changed(lambda terms, text, _: {"format": 0.0, "x": float("[0" in text)})
    assert IssueKind.DEPENDS_ON_SIZE not in issue_kinds(run_doctor(make_traces(), lost))


@pytest.mark.parametrize("preset", ["paper", "weighted", "dense"])
def test_the_shipped_presets_do_not_depend_on_image_size(preset: str) -> None:
    for samples in (make_traces(size=(160, 160)), make_traces(), make_boxes(LARGE)):
        assert IssueKind.DEPENDS_ON_SIZE not in issue_kinds(run_doctor(samples, preset))
