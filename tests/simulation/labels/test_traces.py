from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maniplvm.geometry.simplify import SIMPLIFY_TOLERANCE
from maniplvm.simulation.labels.affordance import Part
from maniplvm.simulation.labels.traces import FEWEST, MOST, waypoints

pytestmark = pytest.mark.sim

RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def line(*corners, steps=20):
    legs = [np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(corners)]
    return np.vstack([*legs, corners[-1]])


def part_at(step, reach=(0.0, 0.0, 0.0)):
    return Part(1, (1,), step, np.zeros((1, 3)), np.array(reach))


@RELAXED
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(2, 200),
    switches=st.lists(st.integers(1, 199), max_size=14),
    touch=st.integers(1, 199),
)
def test_there_are_three_to_ten_points_in_order_from_start_to_end(
    demonstration_of, seed, steps, switches, touch
):
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 0.01, (steps + 1, 3)), axis=0)
    gripper = np.where(np.searchsorted(sorted(switches), np.arange(steps)) % 2, 1.0, -1.0)
    found = waypoints(demonstration_of(path, gripper), part_at(min(touch, steps)))
    assert FEWEST <= len(found.points) <= MOST
    assert found.steps[0] == 0
    assert found.steps[-1] == steps
    assert (np.diff(found.steps) > 0).all()
    assert np.array_equal(found.points, path[found.steps])
    assert len(found.gripper) == len(found.points)


def test_a_straight_path_needs_only_a_middle_point(demonstration_of):
    found = waypoints(demonstration_of(line((0, 0, 0), (0.3, 0, 0))), None)
    assert len(found.points) == 3


def test_corners_are_kept(demonstration_of):
    corners = [(0, 0, 0), (0.2, 0, 0), (0.2, 0.2, 0), (0.2, 0.2, 0.2)]
    found = waypoints(demonstration_of(line(*corners)), None)
    for corner in corners:
        assert np.linalg.norm(found.points - corner, axis=1).min() < 1e-9


def test_no_point_of_a_simple_path_strays_farther_than_the_tolerance(demonstration_of):
    angle = np.linspace(0, np.pi / 2, 60)
    path = np.stack([0.2 * np.cos(angle), 0.2 * np.sin(angle), np.zeros(60)], axis=1)
    found = waypoints(demonstration_of(path), None)
    dense = np.vstack([np.linspace(a, b, 50) for a, b in pairwise(found.points)])
    stray = np.linalg.norm(path[:, None] - dense[None], axis=2).min(axis=1)
    assert stray.max() <= SIMPLIFY_TOLERANCE + 0.002


def test_the_first_touch_is_a_waypoint(demonstration_of):
    found = waypoints(demonstration_of(line((0, 0, 0), (0.3, 0, 0), steps=40)), part_at(17))
    assert 17 in found.steps


def test_the_gripper_closes_where_the_hand_rests_and_stays_closed(demonstration_of):
    path = np.vstack(
        [line((0, 0, 0.2), (0, 0, 0)), np.zeros((10, 3)), line((0, 0, 0), (0.2, 0, 0))]
    )
    gripper = np.where(np.arange(len(path) - 1) < 22, -1.0, 0.6)
    found = waypoints(demonstration_of(path, gripper), None)
    closed = found.gripper > 0
    assert np.linalg.norm(found.points[closed][0]) < 1e-9
    assert np.array_equal(np.flatnonzero(closed), np.arange(np.argmax(closed), len(closed)))


def test_a_weak_grip_counts_as_closing(demonstration_of):
    gripper = np.where(np.arange(60) < 30, 0.0, 0.1)
    found = waypoints(demonstration_of(line((0, 0, 0), (0.3, 0, 0), steps=60), gripper), None)
    assert found.gripper[0] == 0.0
    assert found.gripper[-1] == pytest.approx(0.1)


def test_the_touching_point_is_traced_not_the_finger_tips(demonstration_of):
    path = line((0, 0, 0), (0.3, 0, 0))
    found = waypoints(demonstration_of(path), part_at(5, reach=(0.0, 0.0, 0.13)))
    assert np.allclose(found.points - found.offset, path[found.steps])
    assert found.offset[2] == 0.13
