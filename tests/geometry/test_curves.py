import numpy as np
import pytest
import similaritymeasures
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import directed_hausdorff

from maniplvm.geometry import (
    discrete_frechet,
    dtw,
    endpoint_distance,
    hausdorff,
    resample,
    rmse,
    startpoint_distance,
    trace_distances,
)
from maniplvm.geometry.trace_batches import Pairs, pack
from tests.strategies import traces

METRICS = [
    discrete_frechet,
    hausdorff,
    rmse,
    endpoint_distance,
    startpoint_distance,
    dtw,
]
ALL = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)


@ALL
@given(p=traces())
def test_the_distance_of_a_trace_to_itself_is_zero(metric, p):
    assert metric(p, p) == 0


@ALL
@given(p=traces(), q=traces())
def test_distances_are_symmetric_finite_and_not_negative(metric, p, q):
    forth, back = metric(p, q), metric(q, p)
    assert forth == pytest.approx(back, abs=1e-9)
    assert 0 <= forth < np.inf


@ALL
@given(p=traces(), q=traces(), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_moving_both_traces_changes_nothing(metric, p, q, x, y):
    assert metric(p + [x, y], q + [x, y]) == pytest.approx(metric(p, q), abs=1e-6)


@ALL
@given(p=traces())
def test_the_distance_of_a_shifted_trace_is_the_shift(metric, p):
    assert metric(p, p + [3, 4]) <= 5 + 1e-9
    assert endpoint_distance(p, p + [3, 4]) == pytest.approx(5)
    assert rmse(p, p + [3, 4]) == pytest.approx(5)


@ALL
@given(p=traces(fewest=2))
def test_a_larger_offset_increases_the_distance(metric, p):
    span = np.abs(p).max() + 1
    distances = [metric(p, p + [span * share, 0]) for share in (0, 2, 4, 8)]
    assert (np.diff(distances) > 0).all()


@ALL
@given(p=traces(), q=traces(), index=st.integers(0, 11), times=st.integers(1, 3))
def test_repeating_a_point_changes_nothing(metric, p, q, index, times):
    repeated = np.insert(p, [index % len(p)] * times, p[index % len(p)], axis=0)
    assert metric(repeated, q) == pytest.approx(metric(p, q), abs=1e-9)


@ALL
@given(pairs=st.lists(st.tuples(traces(), traces()), min_size=1, max_size=6))
def test_a_ragged_batch_gives_the_results_of_its_pairs(metric, pairs):
    first, second = [list(column) for column in zip(*pairs, strict=True)]
    batch = metric(first, second)
    assert batch.shape == (len(pairs),)
    assert batch == pytest.approx([metric(p, q) for p, q in pairs], abs=1e-9)


@given(p=traces(), q=traces())
def test_hausdorff_never_exceeds_frechet(p, q):
    assert hausdorff(p, q) <= discrete_frechet(p, q)
    assert endpoint_distance(p, q) <= discrete_frechet(p, q) + 1e-9


@given(p=traces(), q=traces())
def test_frechet_agrees_with_an_independent_implementation(p, q):
    assert discrete_frechet(p, q) == pytest.approx(similaritymeasures.frechet_dist(p, q), abs=1e-9)


@given(p=traces(), q=traces())
def test_dtw_agrees_with_an_independent_implementation(p, q):
    oracle, _ = similaritymeasures.dtw(resample(p), resample(q))
    assert dtw(p, q) == pytest.approx(oracle / 20, abs=1e-9)


def test_dtw_depends_on_a_cut_corner_but_the_maximum_distance_does_not():
    """Both miss the end by as much; one of them cuts the corner on the way."""
    target = [[0, 0], [40, 0], [40, 60]]
    right, cut = [[0, 0], [40, 0], [70, 60]], [[0, 0], [25, 15], [70, 60]]
    assert discrete_frechet(right, target) == discrete_frechet(cut, target) == 30
    assert dtw(cut, target) > 1.1 * dtw(right, target)


@given(p=traces(), q=traces())
def test_hausdorff_agrees_with_scipy(p, q):
    oracle = max(directed_hausdorff(p, q)[0], directed_hausdorff(q, p)[0])
    assert hausdorff(p, q) == pytest.approx(oracle, abs=1e-9)


@given(p=traces(fewest=2), points=st.integers(2, 40))
def test_resampling_agrees_with_interpolation_along_the_arc(p, points):
    along = np.r_[0, np.cumsum(np.hypot(*np.diff(p, axis=0).T))]
    moved = np.r_[True, np.diff(along) > 0]
    wanted = np.linspace(0, along[-1], points)
    oracle = np.stack([np.interp(wanted, along[moved], axis[moved]) for axis in p.T], axis=1)
    assert resample(p, points) == pytest.approx(oracle, abs=1e-6)


def test_resampling_keeps_both_ends_and_spaces_evenly():
    bent = np.array([[0, 0], [10, 0], [10, 10]])
    assert resample(bent, 5).tolist() == [[0, 0], [5, 0], [10, 0], [10, 5], [10, 10]]
    assert resample([[3, 4]], 4).tolist() == [[3, 4]] * 4
    assert resample([[3, 4], [3, 4]], 3).tolist() == [[3, 4]] * 3
    assert resample([bent, bent[:1]], 3).shape == (2, 3, 2)


def test_known_distances():
    p, q = [[0, 0], [4, 0], [8, 0]], [[0, 3], [4, 3], [8, 4]]
    assert discrete_frechet(p, q) == 4
    assert hausdorff(p, q) == 4
    assert endpoint_distance(p, q) == 4
    assert startpoint_distance(p, q) == 3
    backwards = q[::-1]
    assert discrete_frechet(p, backwards) > 8
    assert hausdorff(p, backwards) == 4


def test_trace_distances_equal_the_single_functions():
    rng = np.random.default_rng(0)
    p = [rng.uniform(0, 100, (n, 2)) for n in (1, 3, 8)]
    q = [rng.uniform(0, 100, (n, 2)) for n in (4, 2, 10)]
    together = trace_distances(p, q)
    assert together.dfd.tolist() == discrete_frechet(p, q).tolist()
    assert together.hd.tolist() == hausdorff(p, q).tolist()
    assert together.rmse.tolist() == rmse(p, q).tolist()
    assert together.end.tolist() == endpoint_distance(p, q).tolist()


@ALL
@pytest.mark.parametrize("length", [33, 129, 700])
def test_a_long_trace_changes_no_bit_of_the_other_pairs_of_its_batch(metric, length):
    rng = np.random.default_rng(length)
    p, q = ([rng.uniform(0, 640, (rng.integers(2, 11), 2)) for _ in range(9)] for _ in range(2))
    padded = [*q[:4], np.concatenate([q[4], np.repeat(q[4][-1:], 40, axis=0)]), *q[5:]]
    long = rng.uniform(0, 640, (length, 2))
    alone = metric([*p, long[:40]], [*padded, p[0]])
    batch = metric([*p, long], [*padded, p[0]])
    assert np.array_equal(alone[:9], batch[:9])
    assert batch[9] == pytest.approx(metric(long, p[0]), rel=1e-12)


def test_a_long_target_does_not_make_the_tables_of_its_batch_long():
    rng = np.random.default_rng(0)
    short = [rng.uniform(0, 640, (8, 2)) for _ in range(64)]
    pairs = Pairs.of(short, [*short[1:], rng.uniform(0, 640, (3000, 2))])
    shapes = sorted((group.p.shape, group.q.shape) for group in pairs.groups)
    assert shapes == [((2, 9, 2), (2, 3000, 2)), ((63, 9, 2), (63, 9, 2))]


def test_an_empty_batch_gives_no_distances():
    assert discrete_frechet([], []).shape == (0,)
    assert pack([]).shape == (0, 1, 2)
    stacked = np.zeros((2, 3, 2))
    assert hausdorff(stacked, stacked).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([[1, 2, 3]], [[1, 2]], "trace 0: expected shape"),
        ([[1, 2]], [[1, np.nan]], "trace 1: every coordinate must be finite"),
        ([[[1, 2]], [[np.inf, 2], [1, 2]]], [[[1, 2]], [[1, 2]]], "trace 1: .*finite"),
        ([[[1, 2]]], [[[1, 2]], [[1, 2]]], "differ in length"),
        ([[1, 2]], [[[1, 2]]], "a trace with a trace"),
        (np.zeros((0, 2)), [[1, 2]], "trace 0: expected shape"),
    ],
)
def test_the_error_of_an_invalid_trace_gives_its_index(p, q, message):
    with pytest.raises(ValueError, match=message):
        discrete_frechet(p, q)


def test_resampling_needs_two_points():
    with pytest.raises(ValueError, match="at least 2 points"):
        resample([[0, 0], [1, 1]], 1)
