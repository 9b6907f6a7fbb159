import json
from dataclasses import replace

import pytest

from maniplvm.evaluation import Outcome, Prediction
from maniplvm.evaluation.protocols import MANIPLVM, UnreadablePolicy
from maniplvm.evaluation.records import ScoredSample, TaskResult
from maniplvm.evaluation.scoring import score_samples
from maniplvm.evaluation.statistics.aggregation import aggregate, summarise_task
from maniplvm.rewards import resolve_preset
from maniplvm.tasks import Task
from tests.evaluation.scenery import BOX, answer_text, right, sample, small_set

THIRD = [20.0, 10.0, 40.0, 30.0]
BOXES = MANIPLVM.tasks[Task.AFFORDANCE]


def scored(samples, texts, outcomes=None):
    predictions = [
        Prediction(each.id, text, draw=number)
        for each, text in zip(samples, texts, strict=True)
        for number, text in enumerate(text if isinstance(text, list) else [text])
    ]
    by_id = {each.id: each for each in samples}
    return score_samples(predictions, by_id, MANIPLVM, resolve_preset("paper"), {}, outcomes or {})


def four_boxes():
    samples = [sample(Task.AFFORDANCE, seed=seed) for seed in range(4)]
    return scored(samples, [answer_text(list(BOX)), answer_text(THIRD), "no idea", "[1, 2, 3]"])


def test_strict_counts_a_failed_parse_and_published_leaves_it_out():
    result = summarise_task(four_boxes(), BOXES)
    assert result.parse_rate.mean == 0.5
    assert result.strict["iou"].mean == pytest.approx((1 + 1 / 3) / 4)
    assert result.strict["success"].mean == 0.25
    assert result.strict["iou"].count == 4
    assert result.published["iou"].mean == pytest.approx((1 + 1 / 3) / 2)
    assert result.published["success"].mean == 0.5
    assert result.published["iou"].count == 2
    assert result.failures == {"no_answer_tag": 1, "wrong_count": 1}


def test_guesses_of_the_parser_are_counted_and_stored():
    samples = [sample(Task.AFFORDANCE, seed=seed) for seed in range(4)]
    x1, y1, x2, y2 = BOX
    texts = [
        answer_text(list(BOX)),
        f"[{x2}, {y2}, {x1}, {y1}]",
        f'["{x2}", "{y2}", "{x1}", "{y1}"]',
        "no idea",
    ]
    records = scored(samples, texts)
    assert [record.guesses for record in records] == [
        (),
        ("swapped_corners",),
        ("quoted_numbers", "swapped_corners"),
        (),
    ]
    assert [ScoredSample.from_json(json.loads(record.to_line())) for record in records] == records
    result = summarise_task(records, BOXES)
    assert result.guesses == {"swapped_corners": 2, "quoted_numbers": 1}
    assert result.guess_rate == 0.5
    assert result.parse_rate.mean == 0.75
    assert TaskResult.from_json(result.to_json()).guesses == result.guesses
    earlier = {k: v for k, v in result.to_json().items() if k not in ("guesses", "guess_rate")}
    assert TaskResult.from_json(earlier).guess_rate is None


def test_one_correct_answer_among_unparsed_ones_is_not_a_perfect_mean():
    samples = [sample(Task.AFFORDANCE, seed=seed) for seed in range(100)]
    result = summarise_task(scored(samples, [right(samples[0])] + ["?"] * 99), BOXES)
    assert result.published["iou"].mean == 1
    assert result.strict["iou"].mean == pytest.approx(0.01)
    assert result.parse_rate.mean == pytest.approx(0.01)


def test_a_protocol_that_counts_failures_has_equal_strict_and_published_means():
    result = summarise_task(
        four_boxes(), replace(BOXES, unreadable=UnreadablePolicy.COUNTED_AS_WORST)
    )
    assert result.published == result.strict


def test_failed_traces_count_as_the_diagonal():
    samples = [sample(Task.TRAJECTORY, seed=seed) for seed in range(2)]
    result = summarise_task(
        scored(samples, [right(samples[0]), "?"]), MANIPLVM.tasks[Task.TRAJECTORY]
    )
    assert result.strict["dfd"].mean == 40  # half of the diagonal, 80 px
    assert result.strict["dfd_diagonal"].mean == 0.5
    assert result.published["dfd"].mean == 0
    assert result.reward["total"].mean == 2.5


def test_without_parsed_answers_there_is_no_published_mean():
    result = summarise_task(scored([sample(Task.AFFORDANCE)], ["?"]), BOXES)
    assert result.published["iou"].count == 0
    assert result.strict["iou"].mean == 0
    assert result.area_ratio is None


def test_splits_tasks_and_categories_stay_apart():
    samples = small_set(splits=("id_test", "ood_tasks"))
    texts = [right(s) if s.category == "open" and s.split == "id_test" else "?" for s in samples]
    splits = aggregate(scored(samples, texts), MANIPLVM)
    assert list(splits) == ["id_test", "ood_tasks"]
    boxes = splits["id_test"][Task.AFFORDANCE]
    assert (boxes.count, boxes.scenes) == (8, 4)
    assert boxes.categories["open"].measures["iou"].mean == 1
    assert boxes.categories["close"].measures["iou"].mean == 0
    assert boxes.categories["open"].count == 4
    assert splits["ood_tasks"][Task.TRAJECTORY].parse_rate.mean == 0


def test_intervals_resample_scenes_not_views():
    samples = [sample(Task.AFFORDANCE, seed=seed, view=v) for seed in range(2) for v in range(50)]
    texts = [right(s) if s.provenance["seed"] == 0 else "?" for s in samples]
    interval = summarise_task(scored(samples, texts), BOXES).strict["iou"]
    assert (interval.low, interval.mean, interval.high) == (0, 0.5, 1)


def test_only_executed_traces_have_an_execution_rate():
    samples = [sample(Task.TRAJECTORY, seed=seed) for seed in range(3)]
    outcomes = {
        (samples[0].id, 0): Outcome(True, "solved"),
        (samples[1].id, 0): Outcome(False, "wrong_end"),
    }
    traces = MANIPLVM.tasks[Task.TRAJECTORY]
    result = summarise_task(scored(samples, [right(s) for s in samples], outcomes), traces)
    assert result.execution is not None
    assert (result.execution.mean, result.execution.count) == (0.5, 2)
    assert result.categories["open"].measures["execution"].mean == 0.5
    assert summarise_task(scored(samples, ["?"] * 3), traces).execution is None


def test_several_draws_of_one_sample_are_one_scene():
    result = summarise_task(
        scored([sample(Task.AFFORDANCE)], [[answer_text(list(BOX)), "?"]]), BOXES
    )
    assert (result.count, result.scenes) == (2, 1)
    assert (result.strict["iou"].low, result.strict["iou"].high) == (0.5, 0.5)
