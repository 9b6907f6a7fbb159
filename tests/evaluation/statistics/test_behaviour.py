import numpy as np
import pytest

from maniplvm.evaluation.statistics.behaviour import (
    area_ratio,
    diversity,
    length_ratio,
    part_named,
    start_diagonal,
)
from maniplvm.tasks import Task
from tests.evaluation.scenery import BOX, answer_text, right, sample
from tests.evaluation.statistics.test_aggregation import scored


@pytest.mark.parametrize(
    ("reasoning", "named"),
    [
        ("I must touch the red handle.", True),
        ("Red handle, left of the box", True),
        ("a red-handle", True),
        ("the handle is red", False),
        ("the red handles", False),
        ("", False),
    ],
)
def test_the_part_must_be_named_word_for_word(reasoning, named):
    each = sample(Task.AFFORDANCE)
    rate = part_named(scored([each], [right(each, reasoning)]))
    assert rate is not None
    assert rate.mean == named


def test_a_part_outside_the_reasoning_does_not_count():
    each = sample(Task.AFFORDANCE)
    rate = part_named(scored([each], ["the red handle: [10, 10, 30, 30]"]))
    assert rate is not None
    assert rate.mean == 0


def test_samples_without_a_part_have_no_rate():
    each = sample(Task.AFFORDANCE, part="")
    assert part_named(scored([each], [right(each)])) is None


def test_diversity_is_the_mean_distance_between_the_draws_of_one_sample():
    box, trace = sample(Task.AFFORDANCE), sample(Task.TRAJECTORY)
    apart = scored([box], [[answer_text(list(BOX)), answer_text([20.0, 10.0, 40.0, 30.0]), "?"]])
    same = scored([box], [[answer_text(list(BOX))] * 3])
    moved = (trace.target.points + [0, 8]).tolist()
    traces = scored([trace], [[right(trace), answer_text(moved)]])
    assert diversity(apart).mean == pytest.approx(2 / 3)
    assert diversity(same).mean == 0
    assert diversity(traces).mean == pytest.approx(8 / 80)


def test_one_draw_has_no_diversity():
    box = sample(Task.AFFORDANCE)
    assert diversity(scored([box], [right(box)])) is None
    assert diversity(scored([box], [[right(box), "?"]])) is None


def test_the_area_ratio_is_a_median_over_parsed_boxes():
    samples = [sample(Task.AFFORDANCE, seed=seed) for seed in range(4)]
    double, huge = answer_text([10.0, 10.0, 30.0, 50.0]), answer_text([0.0, 0.0, 60.0, 40.0])
    assert area_ratio(scored(samples, [right(samples[0]), double, huge, "?"])) == 2
    trace = sample(Task.TRAJECTORY)
    assert area_ratio(scored([trace], [right(trace)])) is None


def test_the_length_ratio_and_the_start_distance_are_medians_over_traces():
    traces = [sample(Task.TRAJECTORY, seed=seed) for seed in range(3)]
    target = traces[0].target.points
    cut = answer_text(
        [target[0].tolist(), ((target[0] + target[-1]) / 2).tolist(), target[-1].tolist()]
    )
    own = scored(traces, [cut, cut, "?"])
    length = np.linalg.norm(np.diff(target, axis=0), axis=1).sum()
    assert length_ratio(own) == pytest.approx(np.linalg.norm(target[-1] - target[0]) / length)
    assert start_diagonal(own) == 0
    late = answer_text((target + [3, 4]).tolist())
    assert start_diagonal(scored(traces, [late] * 3)) == pytest.approx(5 / 80)
    assert length_ratio(scored(traces, [late] * 3)) == pytest.approx(1)


def test_boxes_and_unparsed_traces_have_no_length_ratio():
    box, trace = sample(Task.AFFORDANCE), sample(Task.TRAJECTORY)
    for own in (scored([box], [right(box)]), scored([trace], ["?"])):
        assert length_ratio(own) is None
        assert start_diagonal(own) is None
