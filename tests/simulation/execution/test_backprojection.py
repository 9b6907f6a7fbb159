from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maniplvm.simulation.execution.backprojection import backproject

from .conftest import plain_reference

pytestmark = pytest.mark.sim

PIXELS = st.lists(
    st.tuples(st.floats(0, 200, width=32), st.floats(0, 200, width=32)), min_size=2, max_size=10
)


def depth_of(path, reference):
    return reference.camera.project(path.points + reference.traced_offset)[1]


def test_the_reference_trace_gives_the_reference_waypoints(reference):
    path = backproject(reference.trace, reference)
    expected = reference.camera.unproject(reference.trace, reference.waypoint_depths)
    assert np.allclose(path.points, expected)
    assert path.gripper.tolist() == [-1.0, 1.0, 1.0]


def test_the_offset_of_the_traced_point_is_subtracted():
    offset = np.array([0.01, -0.02, 0.03])
    bare, offcentre = plain_reference(), plain_reference(traced_offset=offset)
    there = backproject(bare.trace, bare).points - backproject(offcentre.trace, offcentre).points
    assert np.allclose(there, offset)


def test_more_points_on_the_same_line_change_neither_depth_nor_gripper(reference):
    x = np.linspace(20.0, 180.0, 9)
    path = backproject(np.stack([x, np.full(9, 100.0)], axis=1), reference)
    assert np.allclose(depth_of(path, reference)[[0, 4, 8]], reference.waypoint_depths)
    assert (path.gripper > 0).tolist() == [False] * 4 + [True] * 5


def test_repeated_points_change_nothing(reference):
    once = backproject(reference.trace, reference)
    twice = backproject(np.repeat(reference.trace, 2, axis=0), reference)
    assert np.allclose(once.points, twice.points)


def test_the_gripper_switches_at_the_waypoint_nearest_to_the_reference_switch(reference):
    trace = np.array([[20.0, 100.0], [112.0, 100.0], [180.0, 100.0]])
    path = backproject(trace, reference)
    assert path.gripper.tolist() == [-1.0, 1.0, 1.0]
    assert np.allclose(depth_of(path, reference), reference.waypoint_depths)


def test_a_switch_far_from_all_waypoints_adds_a_waypoint(reference):
    path = backproject(reference.trace[[0, 2]], reference)
    assert len(path.points) == 3
    assert path.gripper.tolist() == [-1.0, 1.0, 1.0]


@given(trace=PIXELS)
@settings(max_examples=60, deadline=None)
def test_a_path_is_finite_and_ends_with_the_reference_gripper(trace):
    reference = plain_reference()
    try:
        path = backproject(trace, reference)
    except ValueError:
        return
    assert np.isfinite(path.points).all()
    assert len(path.points) == len(path.gripper) >= 2
    assert path.gripper[-1] == reference.gripper[-1]


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ([[1.0, 2.0]], "shape"),
        ([1.0, 2.0, 3.0], "shape"),
        (np.zeros((300, 2)), "256"),
        ([[1.0, 2.0], [float("nan"), 3.0]], "finite"),
        ([[1.0, 2.0], [float("inf"), 3.0]], "finite"),
        ([[5.0, 5.0], [5.0, 5.0]], "one place"),
        ("drop table", "numbers"),
        ([[1.0], [2.0, 3.0]], "numbers"),
    ],
)
def test_an_invalid_trace_is_an_error(reference, trace, message):
    with pytest.raises(ValueError, match=message):
        backproject(trace, reference)


def test_a_reference_that_moves_only_in_depth_is_valid():
    still = replace(plain_reference(), trace=np.full((3, 2), 50.0))
    assert np.isfinite(backproject([[10.0, 10.0], [90.0, 90.0]], still).points).all()
