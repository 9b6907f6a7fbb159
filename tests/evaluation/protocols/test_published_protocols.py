"""Every protocol except `maniplvm`, on answers with figures that can be computed by hand."""

import json
import math

import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import Outcome, Prediction
from maniplvm.evaluation.protocols import (
    PROTOCOLS,
    AnswerType,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
    pixels,
    resolve_protocol,
)
from maniplvm.evaluation.records import UNANSWERED, ScoredSample
from maniplvm.evaluation.scoring import score_all
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.rewards import resolve_preset
from maniplvm.tasks import RegionTarget, Task
from tests.evaluation.scenery import BOX, TRACE, answer_text, right, sample

SHAREROBOT, VABENCH = PROTOCOLS["sharerobot-bench"], PROTOCOLS["vabench"]
IN_MASK, EXECUTION = PROTOCOLS["point-in-mask"], PROTOCOLS["execution"]
BOXES, TRACES = sample(Task.AFFORDANCE), sample(Task.TRAJECTORY)
MASK = np.zeros((48, 64), dtype=bool)
MASK[10:30, 10:30] = True
POINTING = sample(Task.POINTING, target=RegionTarget(mask=MASK))


def measured(protocol, asked, text, draws=1, outcomes=None):
    """All completions of samples under a protocol; None leaves a sample unanswered."""
    texts = text if isinstance(text, list) else [text] * len(asked)
    given = [
        Prediction(each.id, own) for each, own in zip(asked, texts, strict=True) if own is not None
    ]
    found = score_all(
        given, asked, draws, resolve_protocol(protocol), resolve_preset("paper"), {}, outcomes or {}
    )
    return found.samples


def one(protocol, asked, text, **more):
    (found,) = measured(protocol, [asked], text, **more)
    return found


def test_sharerobot_takes_boxes_by_iou_and_traces_in_shares_of_the_sides():
    assert one(SHAREROBOT, BOXES, right(BOXES)).measures == {"iou": 1}
    moved = (np.array(TRACE) + [3, 4]).tolist()
    values = one(SHAREROBOT, TRACES, answer_text(moved)).measures
    expected = math.hypot(3 / 64, 4 / 48)
    assert values == pytest.approx(dict.fromkeys(["dfd_unit", "hd_unit", "rmse_unit"], expected))
    worst = one(SHAREROBOT, TRACES, "?").measures
    assert worst == pytest.approx(dict.fromkeys(worst, math.sqrt(2)))


def test_sharerobot_s_rmse_pairs_the_points_as_written_and_drops_the_rest():
    longer = [*TRACE, [60.0, 40.0], [0.0, 0.0]]
    values = one(SHAREROBOT, TRACES, answer_text(longer)).measures
    assert values["rmse_unit"] == 0
    assert values["dfd_unit"] > 0.5
    backwards = one(
        SHAREROBOT, TRACES, answer_text([list(point) for point in TRACE[::-1]])
    ).measures
    assert backwards["hd_unit"] == 0
    assert backwards["rmse_unit"] == pytest.approx(math.sqrt(2 / 3) * 20 / 64)


def test_vabench_takes_traces_in_pixels():
    moved = (np.array(TRACE) + [3, 4]).tolist()
    assert one(VABENCH, TRACES, answer_text(moved)).measures == pytest.approx({"rmse": 5, "mae": 5})
    assert one(VABENCH, TRACES, "?").measures == {"rmse": 80, "mae": 80}
    bent = [[10, 10], [20, 20], [30, 30]]
    values = one(VABENCH, TRACES, answer_text(bent)).measures
    assert 0 < values["mae"] < values["rmse"] < 20


@pytest.mark.parametrize("protocol", [VABENCH, IN_MASK], ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("asked", [BOXES, POINTING], ids=["box", "mask"])
@pytest.mark.parametrize(
    ("text", "share", "points"),
    [
        (answer_text([[20, 20]]), 1, [[20, 20]]),
        (answer_text([[20, 20], [30, 30], [40, 40], [5, 5]]), 0.5, 4),
        ("(20, 20)", 1, [[20, 20]]),
        (answer_text(list(BOX)), 1, [[20, 20]]),
        (answer_text([0, 0, 60, 40]), 0, [[30, 20]]),
        ('<answer>[{"bbox_2d": [0, 0, 60, 44], "label": "x"}]</answer>', 1, [[30, 22]]),
        ('<answer>{"bbox_2d": [0, 0, 64, 48], "point_2d": [20, 20]}</answer>', 1, [[20, 20]]),
        ("?", 0, None),
    ],
)
def test_points_are_measured_by_their_share_inside_and_a_box_by_its_centre(
    protocol, asked, text, share, points
):
    found = one(protocol, asked, text)
    expected = 1 if points == [[30, 20]] else share  # x = 30 is the target's edge: inside
    assert found.measures == {"inside": expected}
    assert found.parsed == (points is not None)
    read = found.read_as or found.answer
    if isinstance(points, list):
        assert read == points
    elif points:
        assert len(read) == points


def test_a_sample_keeps_the_box_and_the_measured_point():
    found = one(VABENCH, BOXES, answer_text(list(BOX)))
    assert (found.answer, found.read_as) == (list(BOX), [[20, 20]])
    again = ScoredSample.from_json(json.loads(found.to_line()))
    assert again == found
    assert one("maniplvm", BOXES, answer_text(list(BOX))).read_as is None


def test_execution_measures_executed_traces_and_counts_the_others():
    asked = [sample(Task.TRAJECTORY, seed=seed) for seed in range(3)] + [BOXES]
    outcomes = {
        (asked[0].id, 0): Outcome(True, "solved"),
        (asked[1].id, 0): Outcome(False, "invalid"),
    }
    texts = [right(asked[0]), "?", right(asked[2]), right(BOXES)]
    predictions = [Prediction(s.id, text) for s, text in zip(asked, texts, strict=True)]
    found = score_all(predictions, asked, 1, EXECUTION, resolve_preset("paper"), {}, outcomes)
    assert [each.measures["solved"] for each in found.samples] == [1, 0]
    assert found.not_measured == {
        "trajectory: not executed in physics": 1,
        "affordance: not part of the protocol": 1,
    }
    with pytest.raises(UserError, match="measures none of these samples"):
        score_all(predictions, asked, 1, EXECUTION, resolve_preset("paper"), {}, {})


def test_a_partial_file_is_the_worst_in_strict_and_left_out_in_published():
    asked = [sample(Task.POINTING, seed=seed, target=RegionTarget(mask=MASK)) for seed in range(4)]
    scored = measured(IN_MASK, asked, [answer_text([[20, 20]]), "?", None, None])
    assert [each.status for each in scored[2:]] == [UNANSWERED, UNANSWERED]
    result = aggregate(scored, IN_MASK)["id_test"][Task.POINTING]
    assert (result.count, result.coverage) == (4, 0.5)
    assert result.strict["inside"].mean == 0.25
    assert result.published["inside"].mean == 0.5
    assert result.parse_rate.mean == 0.5
    assert result.failures == {UNANSWERED: 2, "no_answer_tag": 1}


def test_a_protocol_that_needs_every_answer_refuses_a_partial_file():
    asked = [sample(Task.AFFORDANCE, seed=seed) for seed in range(3)]
    with pytest.raises(UserError, match="maniplvm needs a completion of every sample, but 2 of 3"):
        measured("maniplvm", asked, [right(asked[0]), None, None])


def test_categories_are_the_samples_own():
    asked = [
        sample(Task.AFFORDANCE, category=name, seed=seed)
        for name in ("grasp", "cut")
        for seed in range(2)
    ]
    texts = [right(each) if each.category == "cut" else answer_text([[1, 1]]) for each in asked]
    result = aggregate(measured(VABENCH, asked, texts), VABENCH)["id_test"][Task.AFFORDANCE]
    assert {name: own.measures["inside"].mean for name, own in result.categories.items()} == {
        "cut": 1,
        "grasp": 0,
    }


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_every_measure_has_a_unit_a_frame_and_a_direction(protocol):
    for task, described in protocol.describe().items():
        own = protocol.tasks[Task(task)]
        assert set(own.by_category) <= set(described["values"])
        assert described["reads"] in list(AnswerType)
        assert described["published_habit"] in list(UnreadablePolicy)
        for name, value in described["values"].items():
            assert value["unit"] in ("share", "px", "1/1000", "sides", "diagonals"), name
            assert value["better"] == ("higher" if value["unit"] == "share" else "lower")
            assert value["range"] == [0, 1 if value["unit"] == "share" else None]
            assert value["meaning"]
            assert value["frame"]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_a_correct_answer_is_best_and_an_unparsed_one_worst(protocol):
    targets = {Task.AFFORDANCE: BOXES, Task.TRAJECTORY: TRACES, Task.POINTING: POINTING}
    for task, own in protocol.tasks.items():
        asked = targets[task]
        text = answer_text([[20, 20]]) if task is Task.POINTING else right(asked)
        done = {(asked.id, 0): Outcome(True, "solved")}
        best = one(protocol, asked, text, outcomes=done).measures
        worst = one(protocol, asked, "?", outcomes=done).measures
        for measure in own.measures:
            sign = -1 if measure.lower_is_better else 1
            assert sign * best[measure.name] > sign * worst[measure.name]
            assert best[measure.name] == (0 if measure.lower_is_better else 1)


# The custom protocol of docs/evaluation.md, in full.
def _touch(read):
    middles = np.stack([each.sample.target.points.mean(axis=0) for each in read])
    first = np.stack([each.answer[0] for each in read])
    return {"touch": np.linalg.norm(first - middles, axis=1)}


FIRST_TOUCH = Protocol(
    "first-touch",
    {
        Task.AFFORDANCE: TaskProtocol(
            AnswerType.POINTS_OR_BOX,
            _touch,
            (pixels("touch", "distance of the first point to the target's middle"),),
            UnreadablePolicy.LEFT_OUT,
            ("touch",),
        )
    },
    may_be_partial=True,
)


def test_a_custom_protocol_is_a_few_lines_of_data():
    asked = [sample(Task.AFFORDANCE, seed=seed) for seed in range(3)]
    scored = measured(
        FIRST_TOUCH, asked, [answer_text([[23, 24], [0, 0]]), answer_text(list(BOX)), "?"]
    )
    assert [each.measures["touch"] for each in scored] == [5, 0, 80]
    result = aggregate(scored, FIRST_TOUCH)["id_test"][Task.AFFORDANCE]
    assert result.published["touch"].mean == 2.5
    assert result.strict["touch"].mean == pytest.approx(85 / 3)
    assert result.categories["open"].measures["touch"].count == 3
