"""The reward doctor as a whole: correct rewards pass, and the result is complete."""

import json
import subprocess
import sys

import numpy as np
import pytest

from maniplvm.rewards import PRESETS, Preset
from maniplvm.rewards.doctor.diagnose import diagnose
from maniplvm.rewards.doctor.diagnostics import IssueKind
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget
from tests.rewards.doctor.fixtures import (
    LARGE,
    PUBLISHED,
    REPOSITORY,
    TINY,
    issue_kinds,
    make_boxes,
    make_traces,
    run_doctor,
)

SHAREROBOT = REPOSITORY.parent / "shared" / "data" / "real" / "sharerobot"

PASSING = [
    (make_boxes(TINY), "dense"),
    (make_boxes(LARGE), "dense"),
    (make_boxes(LARGE), "paper"),
    (make_boxes(LARGE), "weighted"),
    (make_traces(), "paper"),
    (make_traces(), "weighted"),
    (make_traces(), "dense"),
    (make_traces(size=(96, 64)), "paper"),
    (make_traces(points=25), "paper"),
    (make_traces(points=2), "dense"),
]


@pytest.mark.parametrize(("samples", "preset"), PASSING)
def test_a_suitable_preset_passes(samples: list[Sample], preset: str) -> None:
    diagnosis = run_doctor(samples, preset)
    assert diagnosis.issues == ()
    assert diagnosis.passed
    assert diagnosis.notes == ()


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_suitable_preset_passes_with_every_seed(seed: int) -> None:
    assert run_doctor(make_boxes(TINY, 24, seed), "dense", seed).passed
    assert run_doctor(make_boxes(LARGE, 24, seed), "paper", seed).passed
    assert run_doctor(make_traces(24, seed), "weighted", seed).passed


@pytest.mark.parametrize("frame", ["qwen2_5_vl", "qwen3_vl", "unit", "gemini_er", "molmoact"])
@pytest.mark.parametrize("samples", [make_boxes(LARGE, 16), make_traces(16)])
def test_the_rounding_of_a_frame_alone_causes_no_issue(frame: str, samples: list[Sample]) -> None:
    diagnosis = diagnose(samples, PRESETS["dense"], np.random.default_rng(0), frame)
    assert diagnosis.issues == ()
    assert diagnosis.frame == frame


@pytest.mark.parametrize("samples", [make_boxes(TINY, 1), make_traces(1), make_traces(2)])
def test_one_or_two_samples_are_enough_for_a_diagnosis(samples: list[Sample]) -> None:
    diagnosis = run_doctor(samples, "dense")
    assert diagnosis.samples == len(samples)
    assert any(f"only {len(samples)} samples" in note for note in diagnosis.notes)


def test_samples_of_both_tasks_or_no_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="one task, got affordance, trajectory"):
        run_doctor([*make_boxes(TINY, 1), *make_traces(1)], "paper")
    with pytest.raises(ValueError, match="got none"):
        run_doctor([], "paper")


def test_a_preset_without_terms_for_the_task_is_an_error() -> None:
    preset = Preset.from_mapping({"name": "boxes", "affordance": {"iou": {}}})
    with pytest.raises(ValueError, match="boxes has no terms for trajectory"):
        run_doctor(make_traces(2), preset)


def test_a_scorer_with_missing_scores_or_varying_terms_is_an_error() -> None:
    samples = make_boxes(LARGE, 2)
    with pytest.raises(ValueError, match="1 scores for 2 texts"):
        run_doctor(samples, lambda texts, _: [{"iou": 0.0}] * (len(texts) - 1))
    with pytest.raises(ValueError, match="terms differ between texts"):
        run_doctor(samples, lambda texts, _: [{str(i): 0.0} for i in range(len(texts))])


def test_importing_the_rewards_does_not_import_the_doctor() -> None:
    code = "import sys, maniplvm.rewards; print([m for m in sys.modules if 'doctor' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_states_the_thresholds_that_the_code_uses() -> None:
    from maniplvm.rewards.doctor import adversarial, diagnostics, probes

    page = (REPOSITORY / "docs" / "doctor.md").read_text(encoding="utf-8")
    for module in (diagnostics, adversarial, probes):
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, int | float) and f"`{name}`" in page:
                assert f"| `{name}` | {value:g} |" in page
    for name in ("SMALL_ERROR", "LARGE_ERROR", "MIN_SLOPE", "GOOD_ERROR", "TOLERANCE"):
        assert f"`{name}`" in page
    assert all(str(kind) in page for kind in IssueKind)


@pytest.mark.skipif(not SHAREROBOT.is_dir(), reason="needs the real ShareRobot records")
def test_only_dense_passes_on_the_real_sharerobot_box() -> None:
    box = json.loads((SHAREROBOT / "affordance.json").read_text(encoding="utf-8"))[0]["affordance"]
    corners = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
    boxes = [Sample("real", Task.AFFORDANCE, "place it", (640, 480), BoxTarget(corners))]
    assert IssueKind.SATURATED in issue_kinds(run_doctor(boxes, "paper"))
    assert run_doctor(boxes, "dense").passed
    records = json.loads((SHAREROBOT / "trajectory.json").read_text(encoding="utf-8"))
    traces = [
        Sample(f"real-{i}", Task.TRAJECTORY, "move it", (640, 480), TraceTarget(points))
        for i, record in enumerate(records)
        for points in [record.get("points") or record.get("trajectory")]
    ]
    for preset in ("paper", "weighted", "dense"):
        assert run_doctor(traces, preset).passed
    assert issue_kinds(run_doctor(traces, Preset.from_yaml(PUBLISHED))) == [IssueKind.SATURATED]
