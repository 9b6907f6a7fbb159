import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.evaluation import Interval, bootstrap_mean


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
def test_what_cannot_be_averaged_is_refused(values):
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
def test_an_interval_survives_json(values):
    interval = bootstrap_mean(values)
    text = json.dumps(interval.to_json(), allow_nan=False)
    assert str(Interval.from_json(json.loads(text))) == str(interval)
