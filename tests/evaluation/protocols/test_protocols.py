import math

import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols import MANIPLVM, resolve_protocol
from maniplvm.tasks import Task
from tests.evaluation.scenery import BOX, TRACE, sample

BOXES, TRACES = MANIPLVM.tasks[Task.AFFORDANCE], MANIPLVM.tasks[Task.TRAJECTORY]
BOX_SAMPLE, TRACE_SAMPLE = sample(Task.AFFORDANCE), sample(Task.TRAJECTORY)


def test_a_box_is_measured_by_its_overlap():
    # 20 x 20 px: moved by half its width, the overlap is a third of the union.
    moved = np.array(BOX) + [10, 0, 10, 0]
    exact, third = BOXES.values([np.array(BOX), moved], [BOX_SAMPLE] * 2)
    assert exact == {"iou": 1, "success": 1}
    assert third == {"iou": pytest.approx(1 / 3), "success": 0}


def test_a_box_succeeds_only_above_one_half():
    half = np.array([10.0, 10.0, 30.0, 20.0])
    (values,) = BOXES.values([half], [BOX_SAMPLE])
    assert values == {"iou": 0.5, "success": 0}


def test_the_distances_of_a_shifted_trace_are_the_shift():
    """Moved by (3, 4) px on an image of 64 x 48 px, whose diagonal is 80 px."""
    (values,) = TRACES.values([np.array(TRACE) + [3, 4]], [TRACE_SAMPLE])
    in_thousandths = math.hypot(3 * 1000 / 64, 4 * 1000 / 48)
    for name in ("dfd", "hd", "rmse", "avg", "end"):
        assert values[name] == pytest.approx(5), name
    for name in ("dfd_1000", "hd_1000", "rmse_1000", "avg_1000"):
        assert values[name] == pytest.approx(in_thousandths), name
    assert values["dfd_diagonal"] == pytest.approx(5 / 80)
    assert values["success"] == 1


def test_the_average_is_that_of_three_distances_and_the_end_alone_decides_success():
    path = np.array(TRACE)
    path[-1] += [0, 20]
    (values,) = TRACES.values([path], [TRACE_SAMPLE])
    # The moved end lies nearest to the target's middle vertex: 14.1 px, less than its own 20.
    assert values["dfd"] == values["end"] == 20
    assert values["hd"] == pytest.approx(math.hypot(10, 10))
    assert values["avg"] == pytest.approx((values["dfd"] + values["hd"] + values["rmse"]) / 3)
    assert values["success"] == 0  # 20 px are not below 20 px


def test_an_unparsed_answer_counts_as_the_worst():
    assert BOXES.values([None], [BOX_SAMPLE]) == [{"iou": 0, "success": 0}]
    (values,) = TRACES.values([None], [TRACE_SAMPLE])
    assert {values[name] for name in ("dfd", "hd", "rmse", "avg", "end")} == {80}
    thousandths = {values[name] for name in ("dfd_1000", "hd_1000", "rmse_1000", "avg_1000")}
    assert thousandths == {1000 * math.sqrt(2)}
    assert (values["dfd_diagonal"], values["success"]) == (1, 0)


def test_parsed_and_unparsed_answers_keep_their_order():
    answers = [None, np.array(BOX), None, np.array(BOX) + [10, 0, 10, 0]]
    rows = BOXES.values(answers, [BOX_SAMPLE] * 4)
    assert [row["iou"] for row in rows] == [0, 1, 0, pytest.approx(1 / 3)]


def test_an_unknown_protocol_is_named_with_the_valid_ones():
    with pytest.raises(UserError, match="unknown protocol 'umd'; choose from maniplvm"):
        resolve_protocol("umd")
