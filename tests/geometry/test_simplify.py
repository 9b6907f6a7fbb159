from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from maniplvm.geometry import PATH_TOLERANCE, simplify


def kept(path, **options):
    return simplify(path, **{"min_points": 3, "max_points": 10, **options})


def deviation(path, steps):
    """How far the path is from the kept lines, sampled densely."""
    dense = np.vstack([np.linspace(path[a], path[b], 200) for a, b in pairwise(steps)])
    return np.linalg.norm(path[:, None] - dense[None], axis=2).min(axis=1).max()


def test_corners_are_kept_and_straight_parts_are_not():
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 2]])
    path = np.vstack([np.linspace(a, b, 10, endpoint=False) for a, b in pairwise(corners)])
    assert kept(np.vstack([path, corners[-1]])) == [0, 10, 20, 30]


def test_a_straight_path_keeps_its_middle():
    assert kept(np.linspace([0.0, 0], [1, 0], 21)) == [0, 10, 20]
    assert kept(np.zeros((3, 2))) == [0, 1, 2]


def test_anchors_are_kept():
    assert 7 in kept(np.linspace([0.0, 0], [1, 0], 21), anchors=[7])


@given(st.integers(0, 2**32 - 1), st.integers(3, 60), st.integers(2, 3))
@example(350591147, 6, 2)
def test_the_count_is_in_range_and_the_points_are_close_below_the_maximum(seed, count, sides):
    path = np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (count, sides)), axis=0)
    steps = kept(path)
    assert 3 <= len(steps) <= 10
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert (np.diff(steps) > 0).all()
    if len(steps) < 10:
        # a middle that is added to have enough points may itself lie that far off
        most = PATH_TOLERANCE * (2 if len(steps) == 3 else 1)
        assert deviation(path, steps) <= most + 1e-3


def test_without_a_maximum_only_the_tolerance_counts():
    zigzag = np.array([[float(i), float(i % 2)] for i in range(30)])
    assert simplify(zigzag) == list(range(30))
    assert simplify(zigzag, tolerance=2.0) == [0, 29]
    assert len(simplify(zigzag, max_points=10)) == 10


def test_no_points_are_kept_for_an_arm_at_rest():
    corners = np.array([[0.0, 0], [50, 10], [60, 60], [90, 20]])
    resting = np.tile(corners[0], (40, 1))
    assert simplify(np.vstack([resting, corners[1:]]), 0.0, 5) == [0, 40, 41, 42]
