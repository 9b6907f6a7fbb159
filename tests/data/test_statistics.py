import pytest

from maniplvm.data import describe, open_dataset, write_dataset
from maniplvm.data.statistics import Spread
from maniplvm.tasks.sample import BoxTarget, TraceTarget
from tests.data.conftest import box_sample, trace_sample


def test_every_quantity_is_measured_in_pixels_and_as_a_share(tmp_path):
    square = {"image_size": (30, 40)}
    write_dataset(
        tmp_path / "set",
        [
            box_sample("a", target=BoxTarget([0, 0, 3, 4]), category="lid", **square),
            box_sample("b", target=BoxTarget([0, 0, 6, 8]), split="id_test"),
            trace_sample("c", target=TraceTarget([[0, 0], [3, 4], [3, 9]]), **square),
        ],
        name="x",
    )
    found = describe(open_dataset(tmp_path / "set"))
    assert found.tasks == {
        ("train", "affordance"): 1,
        ("id_test", "affordance"): 1,
        ("train", "trajectory"): 1,
    }
    assert found.sizes == {(30, 40): 2, (64, 48): 1}
    assert found.categories == {"lid": 1, None: 2}
    assert found.box_sides == [(3, 4), (6, 8)]
    assert found.box_shares == [12 / 1200, 48 / 3072]
    assert (found.trace_points, found.trace_lengths, found.trace_shares) == ([3], [10], [0.2])
    spreads = found.spreads()
    assert spreads["box width [px]"].median == 4.5
    assert spreads["box area [% of image]"].least == pytest.approx(1)
    assert spreads["trace length [% of diagonal]"].greatest == pytest.approx(20)


def test_a_quantity_that_does_not_occur_is_left_out(tmp_path):
    write_dataset(tmp_path / "set", [box_sample()], name="x")
    spreads = describe(open_dataset(tmp_path / "set")).spreads()
    assert [name for name in spreads if name.startswith("trace")] == []
    assert len(spreads) == 3


def test_a_spread_is_made_of_quantiles():
    spread = Spread.of([float(value) for value in range(101)])
    assert (spread.least, spread.low, spread.median) == (0, 5, 50)
    assert (spread.high, spread.greatest) == (95, 100)
