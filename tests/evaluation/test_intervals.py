import numpy as np
import pytest

from maniplvm.evaluation import bootstrap_mean


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
