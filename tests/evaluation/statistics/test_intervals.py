import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.evaluation import Interval, bootstrap_mean
from maniplvm.evaluation.statistics.intervals import bootstrap_test


def test_an_interval_holds_its_mean_and_shrinks_with_more_values():
    rng = np.random.default_rng(0)
    few, many = (bootstrap_mean(rng.uniform(0, 1, n)) for n in (20, 2000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < (few.high - few.low) / 5
    assert few.count == 20


def test_the_interval_agrees_with_the_normal_one_for_many_values():
    values = np.random.default_rng(1).normal(5, 2, 4000)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.01)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.01)


def test_coverage_is_near_its_level():
    rng = np.random.default_rng(2)
    intervals = [bootstrap_mean(rng.uniform(0, 1, 40), resamples=400) for _ in range(300)]
    assert 0.88 <= np.mean([i.low <= 0.5 <= i.high for i in intervals]) <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).uniform(0, 1, 50)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_no_values_have_no_mean():
    empty = bootstrap_mean([])
    assert empty.count == 0
    assert np.isnan(empty.mean)
    assert str(empty) == "-"
    assert str(bootstrap_mean([True, True])) == "1.000 [1.000, 1.000]"


@pytest.mark.parametrize("values", [[[1.0]], [np.nan], [np.inf, 1]])
def test_invalid_values_are_refused(values):
    with pytest.raises(ValueError, match="finite numbers"):
        bootstrap_mean(values)


VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@given(VALUES)
def test_values_that_are_each_their_own_group_are_independent_values(values):
    grouped = bootstrap_mean(values, groups=range(len(values)), resamples=50)
    assert grouped == bootstrap_mean(values, resamples=50)


@given(VALUES, st.integers(2, 4))
def test_views_of_one_scene_add_no_precision(values, views):
    """Repeating every value within its group leaves mean and interval as they are."""
    groups = np.repeat(np.arange(len(values)), views).tolist()
    seen = bootstrap_mean(np.repeat(values, views), groups=groups, resamples=50)
    once = bootstrap_mean(values, resamples=50)
    assert (seen.mean, seen.low, seen.high) == pytest.approx((once.mean, once.low, once.high))
    assert seen.count == views * once.count


@given(VALUES, st.floats(-5, 5))
def test_the_interval_moves_with_its_values(values, shift):
    groups = [index // 2 for index in range(len(values))]
    here = bootstrap_mean(values, groups=groups, resamples=50)
    there = bootstrap_mean(np.array(values) + shift, groups=groups, resamples=50)
    assert (there.low, there.high) == pytest.approx((here.low + shift, here.high + shift), abs=1e-9)


def test_groups_of_unequal_size_keep_the_plain_mean():
    interval = bootstrap_mean([0, 0, 0, 1], groups=["a", "a", "a", "b"])
    assert interval.mean == 0.25
    assert (interval.low, interval.high) == (0, 1)


def test_every_value_needs_its_group():
    with pytest.raises(ValueError, match="1 groups for 2 values"):
        bootstrap_mean([1, 2], groups=["a"])


@pytest.mark.parametrize("values", [[], [1.0, 2.0, 4.0]])
def test_an_interval_is_equal_after_a_json_round_trip(values):
    interval = bootstrap_mean(values)
    text = json.dumps(interval.to_json(), allow_nan=False)
    assert str(Interval.from_json(json.loads(text))) == str(interval)


def test_the_interval_of_runs_includes_the_variance_of_seeds_and_scenes():
    rng = np.random.default_rng(5)
    scenes = [f"scene {n}" for n in range(60)]
    noise = rng.normal(0, 0.01, (3, 60))
    easy = rng.normal(0, 1, 60)
    by_scene, _ = bootstrap_test(noise + easy, groups=scenes)
    by_run, _ = bootstrap_test(noise + np.array([[-1], [0], [1]]), groups=scenes)
    neither, _ = bootstrap_test(noise, groups=scenes)
    assert by_scene.high - by_scene.low > 0.3
    assert by_run.high - by_run.low > 1
    assert neither.high - neither.low < 0.02
    assert by_run.low < noise.mean() < by_run.high


def test_one_run_is_a_plain_mean():
    values = np.random.default_rng(0).random(40)
    scenes = [n // 4 for n in range(40)]
    assert bootstrap_test(values[None], groups=scenes)[0] == bootstrap_mean(values, groups=scenes)


def test_runs_cover_the_truth_more_often_than_scenes_alone():
    """A random effect of the run as large as the rest: scenes alone promise too much."""
    rng = np.random.default_rng(2)
    hits = {"runs": 0, "scenes": 0}
    for trial in range(100):
        values = rng.normal(0, 0.3, (5, 1)) + rng.normal(0, 1, (5, 30))
        own, _ = bootstrap_test(values, groups=range(30), seed=trial, resamples=300)
        alone = bootstrap_mean(values.mean(axis=0), seed=trial, resamples=300)
        hits["runs"] += own.low <= 0 <= own.high
        hits["scenes"] += alone.low <= 0 <= alone.high
    assert hits["runs"] >= 88
    assert hits["scenes"] <= hits["runs"] - 10


@pytest.mark.parametrize("runs", [1, 3])
def test_the_p_value_agrees_with_the_interval(runs):
    rng = np.random.default_rng(runs)
    small = 0
    for trial in range(60):
        values = rng.normal(0.15, 1, (runs, 80))
        own, p = bootstrap_test(values, groups=range(80), seed=trial, resamples=1000)
        assert (own, p) == bootstrap_test(values, groups=range(80), seed=trial, resamples=1000)
        if abs(p - 0.05) > 0.005:
            assert (p < 0.05) == (own.low > 0 or own.high < 0)
        small += p < 0.05
    assert 0 < small < 60


def test_p_is_rarely_small_without_a_difference():
    rng = np.random.default_rng(7)
    groups = [n // 2 for n in range(120)]
    found = [
        bootstrap_test(rng.normal(0, 1, (1, 120)), groups=groups, seed=n, resamples=400)[1]
        for n in range(200)
    ]
    assert sum(p < 0.05 for p in found) <= 20
    assert 0.35 < np.mean(found) < 0.65


def test_p_has_a_lower_and_an_upper_limit():
    _, sure = bootstrap_test(np.ones((2, 9)), groups=range(9))
    _, same = bootstrap_test(np.zeros((2, 9)), groups=range(9))
    _, none = bootstrap_test(np.zeros((2, 0)), groups=[])
    assert (sure, same, none) == (2 / 2001, 1, 1)


@pytest.mark.parametrize("values", [[0.0, 1.0], [[0.0, float("nan")]]])
def test_invalid_values_of_runs_are_refused(values):
    with pytest.raises(ValueError, match="two-dimensional array of finite numbers"):
        bootstrap_test(values, groups=[0, 1])


def test_every_sample_of_runs_needs_its_group():
    with pytest.raises(ValueError, match="3 groups for 2 values"):
        bootstrap_test([[0.0, 1.0]], groups=[0, 1, 2])
    assert bootstrap_test(np.zeros((2, 0)), groups=[])[0].count == 0
