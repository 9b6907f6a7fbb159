"""Every finding fires on a reward that is ill in that way, and on no other."""

import json
import math

import numpy as np
import pytest

from maniplvm.geometry import discrete_frechet, resolve_frame
from maniplvm.rewards import PRESETS, Preset
from maniplvm.rewards.doctor.diagnose import diagnose
from maniplvm.rewards.doctor.diagnostics import Ailment
from maniplvm.rewards.doctor.probes import ProbeKind
from maniplvm.tasks import Sample, Task, TraceTarget, parse_answer
from tests.rewards.doctor.fixtures import (
    LARGE,
    PUBLISHED,
    TINY,
    Terms,
    ailments,
    changed,
    examine,
    make_boxes,
    make_traces,
    message,
)


def test_plain_overlap_is_saturated_on_tiny_boxes_and_the_advice_is_dense() -> None:
    diagnosis = examine(make_boxes(TINY), "paper")
    assert Ailment.SATURATED in ailments(diagnosis)
    assert "preset dense" in message(diagnosis, Ailment.SATURATED)
    assert not diagnosis.healthy


def test_the_published_constants_are_saturated_on_traces() -> None:
    diagnosis = examine(make_traces(), Preset.from_yaml(PUBLISHED))
    assert ailments(diagnosis) == [Ailment.SATURATED]
    assert "unit: diagonal" in message(diagnosis, Ailment.SATURATED)
    (finding,) = diagnosis.findings
    assert 0 < finding.measured < 0.01
    (near,) = (p for p in diagnosis.of(ProbeKind.OFFSET) if p.level == 5.0)
    assert near.total - near.terms["format"] == pytest.approx(0.0073, rel=0.1)


def test_the_published_constants_are_saturated_on_tiny_boxes() -> None:
    diagnosis = examine(make_boxes(TINY), Preset.from_yaml(PUBLISHED))
    assert Ailment.SATURATED in ailments(diagnosis)


def test_a_success_threshold_is_saturated() -> None:
    def success(terms: Terms, text: str, sample: Sample) -> Terms:
        return {"format": terms["format"], "success": float(terms["iou"] > 0.5)}

    assert Ailment.SATURATED in ailments(examine(make_boxes(LARGE), changed(success)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_appears(value: float) -> None:
    def breaks(terms: Terms, text: str, sample: Sample) -> Terms:
        return {**terms, "end": value} if "1e999" in text else terms

    diagnosis = examine(make_traces(), changed(breaks))
    assert ailments(diagnosis) == [Ailment.NOT_FINITE]
    assert "1e999" in message(diagnosis, Ailment.NOT_FINITE)


def test_a_reward_that_is_never_finite_gives_a_diagnosis_and_no_exception() -> None:
    diagnosis = examine(make_traces(20), changed(lambda terms, *_: dict.fromkeys(terms, math.nan)))
    assert Ailment.NOT_FINITE in ailments(diagnosis)
    assert diagnosis.to_json()["probes"][0]["total"] is None
    json.dumps(diagnosis.to_json(), allow_nan=False)


@pytest.mark.parametrize("paid", [0.0, 0.7])
def test_a_reward_that_never_moves_is_constant(paid: float) -> None:
    def constant(terms: Terms, text: str, sample: Sample) -> Terms:
        return {"format": terms["format"], "iou": paid * terms["format"]}

    diagnosis = examine(make_boxes(LARGE), changed(constant))
    assert ailments(diagnosis)[0] is Ailment.CONSTANT
    assert Ailment.SATURATED not in ailments(diagnosis)
    assert f"earns {paid:.3g}" in message(diagnosis, Ailment.CONSTANT)


@pytest.mark.parametrize("term", ["dfd", "hd", "rmse", "end"])
def test_one_dead_term_among_sound_ones_is_named(term: str) -> None:
    diagnosis = examine(make_traces(), changed(lambda terms, *_: {**terms, term: 0.0}))
    assert ailments(diagnosis) == [Ailment.DEAD_TERM]
    assert f"dead term: {term} is 0 " in message(diagnosis, Ailment.DEAD_TERM)


def test_a_term_with_no_slope_is_dead_too() -> None:
    settings = {"format": {}, "dfd": {}, "hd": {"k": 0.0}}
    preset = Preset.from_mapping({"name": "flat", "trajectory": settings})
    diagnosis = examine(make_traces(), preset)
    assert Ailment.DEAD_TERM in ailments(diagnosis)


def test_a_frame_too_coarse_for_the_targets_is_found() -> None:
    speck = make_boxes((3.0, 3.0))
    coarse = diagnose(speck, PRESETS["dense"], np.random.default_rng(0), "embedded")
    assert Ailment.TARGET_LOST in ailments(coarse)
    assert "frame embedded" in message(coarse, Ailment.TARGET_LOST)
    fine = diagnose(speck, PRESETS["dense"], np.random.default_rng(0), "unit")
    assert Ailment.TARGET_LOST not in ailments(fine)


def test_targets_that_earn_nothing_are_counted() -> None:
    def half(terms: Terms, text: str, sample: Sample) -> Terms:
        is_lost = int(sample.id.split("-")[1]) % 2 == 0
        return {"format": terms["format"], "iou": 0.0 if is_lost else terms["iou"]}

    diagnosis = examine(make_boxes(LARGE), changed(half))
    assert "50 % of the targets" in message(diagnosis, Ailment.TARGET_LOST)


def test_a_reward_that_rises_again_with_the_error_is_not_monotone() -> None:
    def bump(terms: Terms, text: str, sample: Sample) -> Terms:
        value = parse_answer(text, sample.task, resolve_frame(None, sample.image_size)).value
        if value is None:
            return terms
        assert isinstance(sample.target, TraceTarget)
        distance = float(discrete_frechet(value, sample.target.points)) / sample.diagonal
        return {**terms, "dfd": terms["dfd"] + 2.0 * math.exp(-(((distance - 0.1) / 0.02) ** 2))}

    diagnosis = examine(make_traces(), changed(bump))
    assert ailments(diagnosis) == [Ailment.NOT_MONOTONE]
    assert "from offset 5 % to offset 10 %" in message(diagnosis, Ailment.NOT_MONOTONE)


def test_generalised_overlap_alone_is_beaten_by_the_whole_image_on_tiny_boxes() -> None:
    giou = Preset.from_mapping({"name": "giou", "affordance": {"format": {}, "giou": {}}})
    tiny = examine(make_boxes(TINY), giou)
    assert ailments(tiny) == [Ailment.BEATEN_BY_CONSTANT]
    assert "'whole image'" in message(tiny, Ailment.BEATEN_BY_CONSTANT)
    assert tiny.findings[0].measured == pytest.approx(0.5, abs=0.01)
    assert examine(make_boxes(LARGE), giou).healthy


def test_targets_that_hardly_vary_are_beaten_by_one_of_them() -> None:
    first = make_traces(1)[0].target.points
    rng = np.random.default_rng(3)
    samples = [
        Sample(f"s-{i}", Task.TRAJECTORY, "go", (640, 480), TraceTarget(first + rng.normal(0, 3)))
        for i in range(30)
    ]
    assert Ailment.BEATEN_BY_CONSTANT in ailments(examine(samples, "paper"))


def test_a_reward_for_size_is_not_highest_at_the_target() -> None:
    def large(terms: Terms, text: str, sample: Sample) -> Terms:
        box = parse_answer(text, sample.task, resolve_frame(None, sample.image_size)).value
        share = 0.0 if box is None else (box[2] - box[0]) * (box[3] - box[1]) / 640 / 480
        return {**terms, "iou": terms["iou"] + 1.5 * share}

    diagnosis = examine(make_boxes(LARGE), changed(large))
    assert Ailment.NOT_HIGHEST_AT_TARGET in ailments(diagnosis)
    assert "'whole image'" in message(diagnosis, Ailment.NOT_HIGHEST_AT_TARGET)


def test_a_reversed_reward_is_not_highest_at_the_target() -> None:
    def reverse(terms: Terms, text: str, sample: Sample) -> Terms:
        return {name: value if name == "format" else 1 - value for name, value in terms.items()}

    found = ailments(examine(make_traces(), changed(reverse)))
    assert Ailment.NOT_HIGHEST_AT_TARGET in found
    assert Ailment.NOT_MONOTONE in found


def test_a_reward_in_pixels_is_caught_on_images_of_any_size() -> None:
    published = Preset.from_yaml(PUBLISHED)
    small = examine(make_traces(size=(160, 160)), published)
    assert "4 times as large" in message(small, Ailment.DEPENDS_ON_SIZE)
    for size in ((320, 240), (640, 480), (1920, 1080)):
        assert not examine(make_traces(size=size), published).healthy


def test_a_reward_that_pays_nothing_has_no_size_to_depend_on() -> None:
    nothing = examine(
        make_traces(), changed(lambda terms, _text, _sample: dict.fromkeys(terms, 0.0))
    )
    assert ailments(nothing) == [Ailment.CONSTANT]
    lost = changed(lambda terms, text, _: {"format": 0.0, "x": float("[0" in text)})
    assert Ailment.DEPENDS_ON_SIZE not in ailments(examine(make_traces(), lost))


@pytest.mark.parametrize("preset", ["paper", "weighted", "dense"])
def test_the_named_presets_do_not_depend_on_the_size_of_the_image(preset: str) -> None:
    for samples in (make_traces(size=(160, 160)), make_traces(), make_boxes(LARGE)):
        assert Ailment.DEPENDS_ON_SIZE not in ailments(examine(samples, preset))
