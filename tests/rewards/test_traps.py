"""One test for each trap that the published code fell into (design/method.md, section 3)."""

import math

import numpy as np
import pytest

from maniplvm.data import import_dataset
from maniplvm.errors import UserError
from maniplvm.geometry import discrete_frechet, iou
from maniplvm.geometry.frames import Frame, View
from maniplvm.rewards import score, score_batch
from maniplvm.tasks import BoxTarget, Sample, Task
from tests.rewards.test_scoring import BOX, TRACE, wrap


def test_trap_1_a_repeated_first_point_gives_neither_nan_nor_the_maximum():
    repeated = score(wrap([[5, 5], [5, 5], [5, 5], [9, 9]]), TRACE)
    assert math.isfinite(repeated.total)
    assert repeated.total < 3
    target = TRACE.target.points
    same_curve = score(wrap(np.vstack([target[:1], target])), TRACE)
    assert same_curve.total == pytest.approx(5)


def test_trap_2_a_perfect_box_gets_the_maximum_reward():
    assert score(wrap(BOX.target.xyxy), BOX).total == 2


def test_trap_3_every_term_of_a_perfect_path_counts():
    perfect = score(wrap(TRACE.target.points), TRACE, "weighted")
    assert perfect.total == pytest.approx(2)
    assert min(perfect.terms.values()) > 0


def test_trap_4_text_is_never_executed():
    Watcher.touched = False
    for text in (
        "__import__('tests.rewards.test_traps').rewards.test_traps.Watcher.touch()",
        "[Watcher.touch(), 1, 2, 3]",
        "[1, 2, 3, 4] if Watcher.touch() else 0",
    ):
        for wrapped in (text, wrap(0).replace("0", text)):
            score(wrapped, BOX)
            score(wrapped, TRACE)
    assert not Watcher.touched


class Watcher:
    touched = False

    @classmethod
    def touch(cls):
        cls.touched = True
        return 1


def test_trap_5_one_pixel_boxes_and_unit_boxes_overlap_themselves():
    pixel = Sample("p", Task.AFFORDANCE, "x", (64, 64), BoxTarget([5, 5, 6, 6]))
    assert score(wrap([5, 5, 6, 6]), pixel).terms["iou"] == 1
    assert score(wrap([0.25, 0.5, 0.75, 1.0]), pixel, frame="unit").terms["iou"] < 0.01
    half = Sample("h", Task.AFFORDANCE, "x", (64, 64), BoxTarget([16, 32, 48, 64]))
    assert score(wrap([0.25, 0.5, 0.75, 1.0]), half, frame="unit").terms["iou"] == 1


def test_trap_6_failures_are_part_of_every_average():
    texts = [wrap(BOX.target.xyxy), *["no idea"] * 99]
    scores = score_batch(texts, [BOX] * 100)
    assert np.mean([s.total for s in scores]) == pytest.approx(0.02)


def test_trap_7_the_target_moves_with_a_padded_image():
    padded = Frame("padded", View.letterboxed((640, 480), (448, 448)))
    seen = padded.encode(BOX.target.points, rounded=False).ravel()
    assert seen[1] == pytest.approx(100 * 0.7 + 56)
    assert score(wrap(seen), BOX, frame=padded).terms["iou"] == pytest.approx(1)


def test_trap_8_a_missing_image_is_an_error_not_another_sample(tmp_path):
    source = tmp_path / "records.jsonl"
    source.write_text(
        '{"id": "a", "task": "affordance", "instruction": "x", "image": "gone.png", '
        '"box": [1, 2, 3, 4]}\n'
    )
    with pytest.raises(UserError, match=r"gone\.png"):
        import_dataset("jsonl", source, tmp_path / "out", images=tmp_path)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_trap_9_one_correct_point_does_not_get_the_maximum_reward():
    first = TRACE.target.points[:1]
    assert score(wrap(first), TRACE).total == 0
    assert discrete_frechet(first, TRACE.target.points) > 200
    thrice = score(wrap(np.repeat(first, 3, axis=0)), TRACE)
    assert thrice.total < 2.5


def test_trap_10_an_answer_inside_the_reasoning_is_ignored():
    good, bad = BOX.target.xyxy.tolist(), [0, 0, 5, 5]
    hidden = f"<think><answer>{good}</answer></think><answer>{bad}</answer>"
    assert score(hidden, BOX).terms["iou"] == 0
    open_first = f"<think><answer>{bad}</answer></think><answer>{good}</answer>"
    assert score(open_first, BOX).terms["iou"] == 1
    assert iou(good, bad) == 0
