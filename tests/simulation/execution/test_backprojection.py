from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maniplvm.simulation.execution.backprojection import lift

from .conftest import plain_reference

pytestmark = pytest.mark.sim

PIXELS = st.lists(
    st.tuples(st.floats(0, 200, width=32), st.floats(0, 200, width=32)), min_size=2, max_size=10
)


def depth_of(course, reference):
    return reference.camera.project(course.points + reference.traced_offset)[1]


def test_the_reference_trace_lifts_to_the_reference_waypoints(reference):
    course = lift(reference.trace, reference)
    expected = reference.camera.unproject(reference.trace, reference.waypoint_depths)
    assert np.allclose(course.points, expected)
    assert course.gripper.tolist() == [-1.0, 1.0, 1.0]


def test_the_end_effector_stays_where_the_traced_point_is_not():
    offset = np.array([0.01, -0.02, 0.03])
    bare, offcentre = plain_reference(), plain_reference(traced_offset=offset)
    there = lift(bare.trace, bare).points - lift(offcentre.trace, offcentre).points
    assert np.allclose(there, offset)


def test_more_points_on_the_same_line_change_neither_depth_nor_gripper(reference):
    x = np.linspace(20.0, 180.0, 9)
    course = lift(np.stack([x, np.full(9, 100.0)], axis=1), reference)
    assert np.allclose(depth_of(course, reference)[[0, 4, 8]], reference.waypoint_depths)
    assert (course.gripper > 0).tolist() == [False] * 4 + [True] * 5


def test_repeated_points_change_nothing(reference):
    once = lift(reference.trace, reference)
    twice = lift(np.repeat(reference.trace, 2, axis=0), reference)
    assert np.allclose(once.points, twice.points)


def test_the_gripper_switches_at_the_waypoint_nearest_to_the_reference_switch(reference):
    trace = np.array([[20.0, 100.0], [112.0, 100.0], [180.0, 100.0]])
    course = lift(trace, reference)
    assert course.gripper.tolist() == [-1.0, 1.0, 1.0]
    assert np.allclose(depth_of(course, reference), reference.waypoint_depths)


def test_a_switch_far_from_every_waypoint_makes_its_own(reference):
    course = lift(reference.trace[[0, 2]], reference)
    assert len(course.points) == 3
    assert course.gripper.tolist() == [-1.0, 1.0, 1.0]


@given(trace=PIXELS)
@settings(max_examples=60, deadline=None)
def test_whatever_lifts_is_finite_and_ends_with_the_reference_gripper(trace):
    reference = plain_reference()
    try:
        course = lift(trace, reference)
    except ValueError:
        return
    assert np.isfinite(course.points).all()
    assert len(course.points) == len(course.gripper) >= 2
    assert course.gripper[-1] == reference.gripper[-1]


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
def test_what_is_not_a_path_is_named(reference, trace, message):
    with pytest.raises(ValueError, match=message):
        lift(trace, reference)


def test_a_reference_that_moves_in_depth_alone_still_lifts():
    still = replace(plain_reference(), trace=np.full((3, 2), 50.0))
    assert np.isfinite(lift([[10.0, 10.0], [90.0, 90.0]], still).points).all()
