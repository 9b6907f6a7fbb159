from collections import Counter

import numpy as np
import pytest

from maniplvm.training.data.order import PromptOrder, Stratum


def places(order, start, stop):
    return [order.at(position) for position in range(start, stop)]


def test_every_epoch_holds_each_sample_once_in_another_order():
    order = PromptOrder([Stratum(10, 10), Stratum(6, 6)], seed=3)
    first, second = places(order, 0, 16), places(order, 16, 32)
    everything = {(0, item) for item in range(10)} | {(1, item) for item in range(6)}
    assert set(first) == set(second) == everything
    assert first != second


def test_a_stratum_larger_than_its_share_is_gone_through_before_anything_comes_again():
    order = PromptOrder([Stratum(8, 8), Stratum(10, 4)], seed=0)
    drawn = [item for stratum, item in places(order, 0, 60) if stratum == 1]
    assert len(drawn) == 20
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))


def test_a_stratum_smaller_than_its_share_comes_again_evenly():
    order = PromptOrder([Stratum(4, 4), Stratum(2, 6)], seed=0)
    counts = Counter(item for stratum, item in places(order, 0, 10) if stratum == 1)
    assert counts == {0: 3, 1: 3}


def test_the_order_is_a_function_of_seed_and_place():
    strata = [Stratum(20, 20), Stratum(9, 5)]
    forwards = places(PromptOrder(strata, 1), 0, 100)
    backwards = [PromptOrder(strata, 1).at(position) for position in reversed(range(100))]
    assert forwards == backwards[::-1]
    assert forwards != places(PromptOrder(strata, 2), 0, 100)


@pytest.mark.parametrize("seed", range(3))
def test_any_stretch_holds_the_strata_at_about_their_shares(seed):
    order = PromptOrder([Stratum(300, 300), Stratum(500, 100)], seed)
    drawn = np.array([stratum for stratum, _ in places(order, 0, 800)])
    for start in range(0, 800, 16):
        assert abs(drawn[start : start + 16].sum() - 4) <= 2
