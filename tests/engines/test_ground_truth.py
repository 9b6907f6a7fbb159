"""The string that carries a target to another engine's reward function."""

import json

import numpy as np
import pytest

from maniplvm.engines.ground_truth import FORMAT, read_ground_truth, write_ground_truth
from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.rewards import score_batch
from maniplvm.tasks import RegionTarget, Task
from tests.evaluation.scenery import SIZE, answer_text, sample

MASK = np.zeros(SIZE[::-1], dtype=bool)
MASK[10:20, 5:30] = True
POLYGON = [[1.5, 2.0], [20.0, 3.0], [9.0, 30.0]]
SAMPLES = [
    sample(Task.AFFORDANCE),
    sample(Task.TRAJECTORY),
    sample(Task.POINTING, target=RegionTarget([POLYGON])),
    sample(Task.POINTING, target=RegionTarget(mask=MASK, marks=[[3.0, 4.0]])),
]


@pytest.mark.parametrize("original", SAMPLES, ids=lambda each: each.target.__class__.__name__)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "gemini_er", "embedded"])
def test_everything_that_scoring_needs_comes_back(original, family):
    spec = FRAMES[family]
    read, frame = read_ground_truth(write_ground_truth(original, spec))
    assert read.image is None
    assert (read.id, read.task, read.target) == (original.id, original.task, original.target)
    assert (read.image_size, read.scene, read.part) == (SIZE, original.scene, original.part)
    points = [[0.0, 0.0], [13.0, 21.0], list(map(float, SIZE))]
    assert frame.encode(points).tolist() == spec.bind(SIZE).encode(points).tolist()
    text = answer_text([[5, 12], [20, 15]] if original.task is Task.POINTING else [3, 4, 50, 40])
    (own,) = score_batch([text], [original], "dense", [spec])
    (other,) = score_batch([text], [read], "dense", [frame])
    assert other.total == own.total


def test_the_string_holds_no_image_and_no_provenance():
    content = json.loads(write_ground_truth(SAMPLES[0], FRAMES["qwen2_5_vl"]))
    assert content["format"] == FORMAT
    assert content.keys().isdisjoint({"image", "provenance", "trace", "polygons", "mask"})
    assert content["frame"]["factor"] == 28


def changed(**changes):
    content = json.loads(write_ground_truth(SAMPLES[3], FRAMES["qwen3_vl"]))
    return json.dumps({**content, **changes})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[1, 2]", "list"),
        ("{}", "'format'"),
        (changed(format="other/1"), "'other/1'"),
        (changed(frame="qwen9"), "unknown frame 'qwen9'"),
        (changed(mask="no base64!"), "mask"),
        (changed(task="juggling"), "juggling"),
        (changed(width=-3), "image_size"),
    ],
)
def test_any_other_string_is_one_clear_line(text, reason):
    with pytest.raises(UserError, match="ground truth: ") as raised:
        read_ground_truth(text)
    assert "export the data set again" in str(raised.value)
    assert reason in str(raised.value) or reason == "mask"
