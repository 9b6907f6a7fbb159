import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.geometry.frames import FRAMES
from maniplvm.rewards import PRESETS, score, score_answers, score_batch
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget, parse_answer
from tests.strategies import boxes, traces
from tests.tasks.parsing.test_reading import FRAGMENTS

BOX = Sample("box", Task.AFFORDANCE, "open", (640, 480), BoxTarget([100, 100, 200, 180]))
TINY = Sample("tiny", Task.AFFORDANCE, "open", (640, 480), BoxTarget([352, 186, 372, 201]))
TRACE = Sample(
    "trace", Task.TRAJECTORY, "open", (640, 480), TraceTarget([[100, 100], [200, 100], [200, 300]])
)
ALL_PRESETS = pytest.mark.parametrize("preset", PRESETS)


def wrap(numbers):
    return f"<think>the handle</think><answer>{json.dumps(np.asarray(numbers).tolist())}</answer>"


@ALL_PRESETS
@pytest.mark.parametrize("sample", [BOX, TINY, TRACE], ids=lambda sample: sample.id)
def test_the_target_itself_gets_the_maximum_reward(preset, sample):
    target = sample.target.xyxy if isinstance(sample.target, BoxTarget) else sample.target.points
    result = score(wrap(target), sample, preset)
    assert result.total == pytest.approx(PRESETS[preset].max_reward(sample.task))
    assert result.total == pytest.approx(sum(result.terms.values()))
    assert result.terms["format"] > 0
    assert result.status == "ok"


def test_the_preset_paper_has_the_values_of_the_paper():
    assert PRESETS["paper"].max_reward(Task.AFFORDANCE) == 2
    assert PRESETS["paper"].max_reward(Task.TRAJECTORY) == 5
    assert PRESETS["weighted"].max_reward(Task.TRAJECTORY) == 2
    near = score(wrap(TRACE.target.points + [40, 0]), TRACE)  # 5 % of the diagonal
    far = score(wrap(TRACE.target.points + [160, 0]), TRACE)  # 20 %
    for name in ("dfd", "hd", "rmse", "end"):
        assert near.terms[name] == pytest.approx(np.exp(-0.5))
        assert far.terms[name] == pytest.approx(np.exp(-2))


def test_the_preset_weighted_has_the_weights_of_the_published_code():
    perfect = score(wrap(TRACE.target.points), TRACE, "weighted")
    assert perfect.terms == pytest.approx(
        {"format": 1, "dfd": 0.25, "hd": 0.15, "rmse": 0.2, "end": 0.4}
    )


def test_start_and_dtw_are_available_terms():
    terms = {name: {"weight": 0.5, "shape": "rational"} for name in ("start", "dtw")}
    preset = {"name": "bends", "affordance": {}, "trajectory": terms}
    shifted = score(wrap(TRACE.target.points + [40, 0]), TRACE, preset)  # 5 % of the diagonal
    assert shifted.terms["start"] == pytest.approx(0.5 / 1.5)
    assert 0.5 / 1.5 < shifted.terms["dtw"] < 0.5
    assert score(wrap(TRACE.target.points), TRACE, preset).total == pytest.approx(1)
    assert score("no answer", TRACE, preset).terms == {"start": 0, "dtw": 0}


def test_the_reward_does_not_depend_on_resolution():
    double = Sample("d", Task.TRAJECTORY, "x", (1280, 960), TraceTarget(TRACE.target.points * 2))
    shifted = TRACE.target.points + 13
    for preset in PRESETS:
        one = score(wrap(shifted), TRACE, preset).total
        assert score(wrap(shifted * 2), double, preset).total == pytest.approx(one)


@pytest.mark.parametrize("preset", ["paper", "weighted", "dense"])
@pytest.mark.parametrize("sample", [BOX, TRACE], ids=lambda sample: sample.id)
def test_a_larger_offset_never_scores_higher(preset, sample):
    target = sample.target.points
    totals = [
        score(wrap((target + [shift, shift / 2]).reshape(np.shape(target))
                   if sample is TRACE else (target + [shift, shift / 2]).ravel()), sample, preset).total
        for shift in range(0, 160, 4)
    ]  # fmt: skip
    assert (np.diff(totals) <= 1e-12).all()
    assert totals[0] > totals[-1]


def test_the_preset_dense_decreases_with_the_distance_of_a_real_box():
    shifts = [0, 5, 10, 20, 30, 60, 120, 240]
    dense = [score(wrap(TINY.target.xyxy + [s, 0, s, 0]), TINY, "dense").total for s in shifts]
    paper = [score(wrap(TINY.target.xyxy + [s, 0, s, 0]), TINY, "paper").total for s in shifts]
    assert (np.diff(dense) < -0.01).all()
    assert paper[3:] == [1.0] * 5


@given(box=boxes(smallest=1), other=boxes(smallest=1))
def test_dense_boxes_are_ordered_by_iou_once_they_overlap_well(box, other):
    sample = Sample("s", Task.AFFORDANCE, "x", (4000, 4000), BoxTarget(box))
    frame = FRAMES["pixels"].bind((4000, 4000))
    for share in (0.05, 0.3, 0.6):
        near = box + (other - box) * share
        plain = score_answers(
            [parse_answer(wrap(near), "affordance", frame)], [sample], PRESETS["paper"]
        )
        dense = score_answers(
            [parse_answer(wrap(near), "affordance", frame)], [sample], PRESETS["dense"]
        )
        overlap = plain[0].terms["iou"]
        task_reward = dense[0].total - dense[0].terms["format"]
        assert task_reward <= 1 + 1e-12
        if overlap >= 0.5:
            assert task_reward == pytest.approx(overlap)
        else:
            assert overlap <= task_reward < 0.5 + 1e-12


@given(p=traces(fewest=3, most=10), q=traces(fewest=3, most=10))
def test_dense_traces_keep_the_order_of_every_distance(p, q):
    sample = Sample("s", Task.TRAJECTORY, "x", (2000, 2000), TraceTarget(TRACE.target.points))
    paper_p, paper_q = (score(wrap(trace), sample, "paper").terms for trace in (p, q))
    dense_p, dense_q = (score(wrap(trace), sample, "dense").terms for trace in (p, q))
    for name in ("dfd", "hd", "rmse", "end"):
        if paper_p[name] > paper_q[name]:
            assert dense_p[name] > dense_q[name]


@given(
    text=FRAGMENTS | st.text(),
    sample=st.sampled_from([BOX, TINY, TRACE]),
    preset=st.sampled_from(list(PRESETS)),
    frame=st.sampled_from([None, *FRAMES]),
)
def test_any_text_scores_a_finite_total_within_range(text, sample, preset, frame):
    result = score(text, sample, preset, frame)
    assert np.isfinite(result.total)
    assert 0 <= result.total <= PRESETS[preset].max_reward(sample.task) + 1e-9
    assert list(result.terms) == list(PRESETS[preset].terms(sample.task))
    if not result.answer.parsed:
        assert result.total == 0


def test_a_batch_of_both_tasks_scores_like_single_samples():
    samples = [BOX, TRACE, TINY, TRACE, BOX]
    texts = [
        wrap([90, 90, 210, 190]),
        wrap([[90, 90], [200, 120], [220, 280], [1, 1]]),
        "garbage",
        "[(10, 10), (20, 20), (30, 30)]",
        "[10, 20, 300, 400]",
    ]
    frames = [None, "pixels", "unit", "qwen2_5_vl", {"name": "qwen2_vl", "max_pixels": 200704}]
    for preset in PRESETS:
        batch = score_batch(texts, samples, preset, frames)
        for result, text, sample, frame in zip(batch, texts, samples, frames, strict=True):
            single = score(text, sample, preset, frame)
            assert result.total == pytest.approx(single.total)
            assert result.terms == pytest.approx(single.terms)
            assert result.status == single.status


def test_an_empty_batch_has_no_scores():
    assert score_batch([], []) == []


def test_the_default_frame_is_original_pixels():
    assert score(wrap(BOX.target.xyxy), BOX).total == 2
    encoded = FRAMES["qwen2_5_vl"].bind((640, 480)).encode(BOX.target.points).ravel()
    assert score(wrap(encoded), BOX, frame="qwen2_5_vl").terms["iou"] > 0.97
    assert score(wrap(encoded), BOX).terms["iou"] < 0.97


@pytest.mark.parametrize(
    ("texts", "samples", "frame", "message"),
    [
        (["a"], [BOX, BOX], None, "1 texts for 2 samples"),
        (["a"], [BOX], ["unit", "unit"], "2 frames for 1 texts"),
        (["a"], [BOX], "qwen", "unknown frame"),
    ],
)
def test_invalid_arguments_are_an_error(texts, samples, frame, message):
    with pytest.raises(ValueError, match=message):
        score_batch(texts, samples, frame=frame)


def test_an_answer_of_another_task_is_an_error():
    answer = parse_answer("", "trajectory", FRAMES["pixels"].bind((640, 480)))
    with pytest.raises(ValueError, match="task affordance, but its answer has task trajectory"):
        score_answers([answer], [BOX], PRESETS["paper"])


def test_the_rewards_import_fast_and_without_heavy_packages():
    code = (
        "import time; t = time.process_time(); import maniplvm.rewards; "
        "import sys; print(time.process_time() - t); "
        "print([m for m in ('torch', 'datasets', 'pyarrow', 'pydantic', 'PIL', 'transformers') "
        "if m in sys.modules])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    seconds = [float(run.stdout.splitlines()[0]) for run in runs]
    assert runs[0].stdout.splitlines()[1] == "[]"
    assert min(seconds) < 0.2
