import pickle

import numpy as np
import pytest

from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget

BOX = BoxTarget([10, 20, 30, 40])
TRACE = TraceTarget([[0, 0], [5, 5], [9, 9]])


def make(**changes):
    settings = {
        "id": "a",
        "task": "affordance",
        "instruction": "open the drawer",
        "image_size": (640, 480),
        "target": BOX,
    }
    return Sample(**{**settings, **changes})


def test_a_sample_needs_no_image():
    sample = make()
    assert sample.task is Task.AFFORDANCE
    assert sample.image is None
    assert sample.diagonal == 800
    assert make(task=Task.TRAJECTORY, target=TRACE).target.points.shape == (3, 2)


def test_targets_are_frozen_and_compare_by_value():
    with pytest.raises(ValueError, match="read-only"):
        BOX.xyxy[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        TRACE.points[0, 0] = 5
    assert BoxTarget((10.0, 20, 30, 40)) == BOX
    assert hash(BoxTarget((10.0, 20, 30, 40))) == hash(BOX)
    assert TraceTarget(TRACE.points + 1) != TRACE
    assert hash(TraceTarget(TRACE.points.copy())) == hash(TRACE)
    assert BOX != TRACE
    assert BOX.points.tolist() == [[10, 20], [30, 40]]


def test_a_target_does_not_change_with_the_array_it_came_from():
    source = np.array([1.0, 2, 3, 4])
    box = BoxTarget(source)
    source[0] = 99
    assert box.xyxy[0] == 1


def test_samples_travel_between_processes():
    sample = make(provenance={"seed": 3}, scene="kitchen/3", part="the handle")
    assert pickle.loads(pickle.dumps(sample)) == sample  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 2, 3], "expected 4 numbers"),
        ([1, 2, float("nan"), 4], "finite"),
        ([5, 2, 3, 4], "x1 < x2"),
        ([1, 2, 1, 4], "x1 < x2"),
        (["a", 2, 3, 4], "not an array of numbers"),
        ([[1, 2], [3, 4]], "expected 4 numbers"),
    ],
)
def test_a_bad_box_is_refused(box, message):
    with pytest.raises(ValueError, match=f"box target: .*{message}"):
        BoxTarget(box)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, 2]], "expected shape"),
        ([1, 2, 3, 4], "expected shape"),
        ([[1, 2, 3], [4, 5, 6]], "expected shape"),
        ([[1, 2], [3]], "not an array of numbers"),
        ([[1, 2], [3, float("inf")]], "finite"),
    ],
)
def test_a_bad_trace_is_refused(points, message):
    with pytest.raises(ValueError, match=f"trace target: .*{message}"):
        TraceTarget(points)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "the id is empty"),
        ({"task": "grasp"}, "unknown task 'grasp'; choose from affordance, trajectory"),
        ({"instruction": "  "}, "sample a: the instruction is empty"),
        ({"image_size": (640,)}, "as integers"),
        ({"image_size": (640, 0)}, "as integers"),
        ({"image_size": (640.5, 2)}, "as integers"),
        ({"target": TRACE}, "needs a BoxTarget, got TraceTarget"),
        ({"task": "trajectory"}, "needs a TraceTarget, got BoxTarget"),
    ],
)
def test_a_bad_sample_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)
