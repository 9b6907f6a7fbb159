"""The summary names what improved, what got worse, and what is unclear."""

import pytest

from maniplvm.evaluation import Difference, Interval
from maniplvm.evaluation.report.comparison import Change, Verdict, compare_evaluations
from maniplvm.evaluation.report.folders import read_model_evaluation, read_run
from maniplvm.evaluation.report.metrics import metric_of
from maniplvm.evaluation.report.sections.summary import main_split, summarize
from maniplvm.tasks import Task
from tests.evaluation.report.folders import write_evaluation, write_run

TASK_OF = {"iou": Task.AFFORDANCE, "dfd_diagonal": Task.TRAJECTORY, "execution": Task.TRAJECTORY}


def change(split, key, low, high):
    mean = (low + high) / 2
    found = Difference(0.5, 0.5 + mean, Interval(mean, low, high, 9), 9, 0.05)
    return Change(split, metric_of(TASK_OF[key], key), found)


def summary_of(after, *changes):
    by_place = {(c.split, TASK_OF[c.metric.key], c.metric.key): c for c in changes}
    return summarize(after, by_place, "adapt_test")


@pytest.fixture(scope="module")
def after(folders):
    return read_model_evaluation(folders.after)


@pytest.mark.parametrize(
    ("key", "low", "high", "verdict"),
    [
        ("iou", 0.1, 0.2, Verdict.BETTER),
        ("iou", -0.2, -0.1, Verdict.WORSE),
        ("iou", -0.01, 0.2, Verdict.UNCLEAR),
        ("dfd_diagonal", -0.2, -0.1, Verdict.BETTER),
        ("dfd_diagonal", 0.1, 0.2, Verdict.WORSE),
        ("execution", 0.1, 0.2, Verdict.BETTER),
    ],
)
def test_a_verdict_follows_the_interval_and_the_metrics_direction(key, low, high, verdict):
    assert change("adapt_test", key, low, high).verdict is verdict


def test_the_title_names_what_got_worse_on_other_splits(after):
    title = summary_of(
        after,
        change("adapt_test", "iou", 0.1, 0.2),
        change("adapt_test", "dfd_diagonal", -0.2, -0.1),
        change("id_test", "iou", -0.2, -0.1),
        change("ood_robot", "dfd_diagonal", 0.01, 0.02),
    ).title
    assert title == (
        "Boxes and traces got better on adapt_test, "
        "but worse: boxes on id_test, traces on ood_robot"
    )


def test_the_title_names_what_got_worse_on_the_main_split(after):
    title = summary_of(
        after, change("adapt_test", "iou", 0.1, 0.2), change("adapt_test", "execution", -0.3, -0.1)
    ).title
    assert title == "Boxes got better on adapt_test, task success got worse"


def test_without_a_clear_change_the_title_says_so(after):
    found = summary_of(after, change("adapt_test", "iou", -0.1, 0.2))
    assert found.title == "No clear change on adapt_test"
    assert [verdict for verdict, _ in found.findings] == [Verdict.UNCLEAR]


def test_findings_have_intervals(after):
    found = summary_of(after, change("adapt_test", "dfd_diagonal", -0.2, -0.1))
    assert found.findings == [
        (
            Verdict.BETTER,
            [("adapt_test", "trace error (Fréchet) −15.0 points (−20.0 to −10.0 points)")],
        )
    ]


def test_a_model_compared_with_itself_shows_no_change(after):
    changes = compare_evaluations(after, after)
    assert changes
    assert {change.verdict for change in changes.values()} == {Verdict.UNCLEAR}
    assert {change.paired_difference.difference.mean for change in changes.values()} == {0}


def test_the_main_split_is_the_test_split_of_the_training_data(folders, tmp_path, after):
    run = read_run(write_run(tmp_path / "run"))
    assert main_split(after, [run]) == "adapt_test"
    only = write_evaluation(tmp_path / "only", folders.samples[40:44], 0.1)
    assert main_split(read_model_evaluation(only), [run]) == "id_test"


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("iou", 0.1234, "+0.123"),
        ("iou", -0.0004, "0.000"),
        ("iou", -0.5, "−0.500"),
        ("execution", 0.215, "+21.5 points"),
        ("end", -3.04, "−3.0 px"),
        ("iou", float("nan"), "–"),
    ],
)
def test_a_difference_has_sign_and_unit(key, value, written):
    task = Task.AFFORDANCE if key == "iou" else Task.TRAJECTORY
    assert metric_of(task, key).format_difference(value) == written


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("runs/quickstart/grpo/model", "grpo"),
        ("runs/evidence/grpo-25/seed-0/model", "grpo-25 seed-0"),
        ("seed-0/model", "seed-0"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen2.5-VL-3B-Instruct"),
        ("runs/model", "model"),
    ],
)
def test_the_label_of_a_model_is_the_distinctive_end_of_its_path(folders, tmp_path, model, label):
    written = write_evaluation(tmp_path / "eval", folders.samples[:1], 0.1, model=model)
    assert read_model_evaluation(written).label == label
