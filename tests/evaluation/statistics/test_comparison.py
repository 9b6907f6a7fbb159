import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.errors import UserError
from maniplvm.evaluation import Difference, Interval, Outcome, compare, evaluate
from maniplvm.evaluation.statistics.comparison import compare_runs, compare_samples
from maniplvm.tasks import Task
from tests.evaluation.scenery import BOX, Counting, answer_text, right, sample, small_set, stored
from tests.evaluation.statistics.test_aggregation import scored

BOXES = [sample(Task.AFFORDANCE, seed=seed) for seed in range(6)]


def shifted(share):
    """A box whose overlap falls as it moves right by a share of its width."""
    return answer_text((np.array(BOX) + [20 * share, 0, 20 * share, 0]).tolist())


def boxes(before, after, seed=0):
    splits = compare_samples(before, after, seed)
    return splits["id_test"][Task.AFFORDANCE]


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_an_evaluation_does_not_differ_from_itself(shares):
    own = scored(BOXES, [shifted(share) for share in shares])
    for difference in boxes(own, own).values():
        assert (difference.difference.low, difference.difference.high) == (0, 0)
        assert difference.before == difference.after
        assert not difference.is_clear


@given(st.permutations(range(6)))
def test_samples_are_paired_by_id_not_by_order(order):
    shares = np.linspace(0, 1, 6)
    own = scored(BOXES, [shifted(share) for share in shares])
    difference = boxes(own, [own[index] for index in order])["iou"]
    assert (difference.difference.low, difference.difference.high) == (0, 0)


def test_pairing_detects_a_small_change_of_every_sample():
    """Six samples of very different quality, each better by .05: clear only when paired."""
    before = scored(BOXES, [shifted(share) for share in np.linspace(0.1, 0.9, 6)])
    after = [
        type(each)(**{**vars(each), "measures": {"iou": each.measures["iou"] + 0.05}})
        for each in before
    ]
    difference = boxes(before, after)["iou"]
    assert difference.difference.mean == pytest.approx(0.05)
    assert difference.difference.low == pytest.approx(0.05)
    assert difference.is_clear
    assert difference.after == pytest.approx(difference.before + 0.05)


def test_the_difference_is_after_minus_before_over_common_samples():
    before = scored(BOXES[:4], ["?", "?", right(BOXES[2]), "?"])
    after = scored(BOXES[1:], [right(each) for each in BOXES[1:]])
    found = boxes(before, after)
    assert found["iou"].pairs == 3
    assert (found["iou"].before, found["iou"].after) == (pytest.approx(1 / 3), 1)
    assert found["iou"].difference.mean == pytest.approx(2 / 3)
    assert found["parse_rate"].difference.mean == pytest.approx(2 / 3)
    assert found["reward"].difference.mean == pytest.approx(4 / 3)


def test_draws_are_averaged_before_they_are_compared():
    one, two = scored(BOXES[:1], ["?"]), scored(BOXES[:1], [[right(BOXES[0]), "?"]])
    difference = boxes(one, two)["iou"]
    assert (difference.after, difference.pairs, difference.difference.count) == (0.5, 1, 1)


def test_views_of_one_scene_are_resampled_together():
    views = [sample(Task.AFFORDANCE, seed=s, view=v) for s in range(2) for v in range(30)]
    before = scored(views, ["?"] * 60)
    after = scored(views, [right(v) if v.provenance["seed"] else "?" for v in views])
    interval = boxes(before, after)["iou"].difference
    assert (interval.low, interval.mean, interval.high) == (0, 0.5, 1)


def test_execution_is_compared_if_both_evaluations_executed():
    traces = [sample(Task.TRAJECTORY, seed=seed) for seed in range(3)]
    texts = [right(each) for each in traces]
    lost = {(each.id, 0): Outcome(False, "dropped") for each in traces}
    won = {(each.id, 0): Outcome(True, "solved") for each in traces[:2]}
    found = compare_samples(scored(traces, texts, lost), scored(traces, texts, won))
    execution = found["id_test"][Task.TRAJECTORY]["execution"]
    assert (execution.pairs, execution.difference.mean) == (2, 1)
    without = compare_samples(scored(traces, texts), scored(traces, texts, won))
    assert "execution" not in without["id_test"][Task.TRAJECTORY]


def test_two_folders_are_compared_and_the_result_is_written(tmp_path):
    data = stored(tmp_path / "data", small_set())
    evaluate(Counting("?"), data, tmp_path / "before")
    evaluate(Counting(), data, tmp_path / "after")
    result = compare(tmp_path / "before", tmp_path / "after")
    assert result.splits["id_test"][Task.TRAJECTORY]["dfd_diagonal"].difference.mean == -1
    plain = json.loads((tmp_path / "after" / "comparison.json").read_text())
    assert plain == json.loads(json.dumps(result.to_json()))
    assert plain["format"] == "maniplvm.comparison/1"
    assert set(plain["splits"]["id_test"]["affordance"]["iou"]) == {
        "before",
        "after",
        "difference",
        "pairs",
        "p",
    }


def test_evaluations_without_a_common_sample_are_refused(tmp_path):
    for name in ("id_test", "ood_tasks"):
        data = stored(tmp_path / f"data-{name}", small_set(splits=(name,)))
        evaluate(Counting(), data, tmp_path / name)
    with pytest.raises(UserError, match="no sample in common"):
        compare(tmp_path / "id_test", tmp_path / "ood_tasks")
    with pytest.raises(UserError, match="give the folder of a finished evaluation"):
        compare(tmp_path, tmp_path / "id_test")


@pytest.mark.parametrize(
    ("low", "high", "clear"),
    [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0, 1, False)],
)
def test_a_difference_is_clear_if_its_interval_excludes_zero(low, high, clear):
    assert Difference(0, 0, Interval((low + high) / 2, low, high, 5), 5, 0.05).is_clear is clear


def test_evaluations_under_different_protocols_are_refused(tmp_path):
    data = stored(tmp_path / "data", small_set())
    evaluate(Counting(), data, tmp_path / "one")
    evaluate(Counting(), data, tmp_path / "two", protocol="sharerobot-bench")
    with pytest.raises(UserError, match="cannot be compared; score both under one protocol"):
        compare(tmp_path / "one", tmp_path / "two")


def test_runs_are_paired_with_their_own_before_and_their_spread_widens_the_interval():
    before = scored(BOXES, [shifted(0.5)] * 6)
    little, much = (scored(BOXES, [shifted(share)] * 6) for share in (0.4, 0.0))
    one = compare_samples(before, much)["id_test"][Task.AFFORDANCE]["iou"]
    own = compare_runs([(before, little), (before, much)])["id_test"][Task.AFFORDANCE]["iou"]
    assert one.difference.low == pytest.approx(one.difference.high)
    assert own.difference.low < own.difference.mean < own.difference.high
    assert own.pairs == 6
    same = compare_runs([(little, little), (much, much)])["id_test"][Task.AFFORDANCE]["iou"]
    assert (same.difference.low, same.difference.high) == (0, 0)


def test_samples_that_are_missing_in_one_run_are_left_out_of_all():
    own = scored(BOXES, [right(each) for each in BOXES])
    found = compare_runs([(own, own), (own[1:], own)])["id_test"][Task.AFFORDANCE]["iou"]
    assert found.pairs == 5
