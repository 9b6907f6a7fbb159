"""A report on points: regions, and boxes for which a protocol parses points."""

import json

import numpy as np
import pytest

from maniplvm.evaluation import evaluate
from maniplvm.evaluation.predictors.predictor import FilePredictor
from maniplvm.evaluation.report import Sources, build_report
from maniplvm.evaluation.report.folders import read_model_evaluation
from maniplvm.evaluation.report.sample_metrics import compute_sample_metrics
from maniplvm.tasks import RegionTarget, Task
from tests.evaluation.report.pages import Page
from tests.evaluation.scenery import predictions_file, sample, stored

MASK = np.zeros((48, 64), dtype=bool)
MASK[10:30, 40:60] = True


def asked():
    regions = [RegionTarget.of_boxes([[4, 4, 24, 24]]), RegionTarget(mask=MASK)]
    pointing = [
        sample(Task.POINTING, seed=seed, target=regions[seed % 2], split="id_test")
        for seed in range(8)
    ]
    return [*pointing, *(sample(Task.AFFORDANCE, seed=seed) for seed in range(4))]


def points(numbers):
    return f"<think>there</think><answer>{json.dumps(numbers)}</answer>"


@pytest.fixture(scope="module", params=["maniplvm", "point-in-mask"])
def folders(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("points")
    samples = asked()
    data = stored(root / "data", samples)
    made = []
    for name, shift in (("before", 20), ("after", 0)):
        texts = {}
        for number, each in enumerate(samples):
            middle = each.target.points.mean(axis=0) + (shift if number % 3 else 0)
            texts[each.id] = points([middle.tolist(), (middle + 1).tolist()])
        texts[samples[0].id] = "nowhere"
        predictor = FilePredictor(predictions_file(root / f"{name}.jsonl", texts))
        evaluate(predictor, data, root / name, protocol=request.param)
        made.append(root / name)
    return data, *made


def test_a_report_on_points_is_complete(folders):
    data, before, after = folders
    page = Page(build_report(Sources(after, data, before=before)))
    assert (page.faults, page.open) == ([], [])
    for text in (
        "Points (pointing)",
        "points inside",
        "threshold of the fraction of points inside",
        "mean fraction of points inside",
        "answers with more than half of their points inside",
        "is better",
    ):
        assert text in page.text, text
    outlines = [a for a in page.named("polygon") if a.get("fill") == "none"]
    assert outlines


def test_the_score_of_points_is_the_fraction_inside(folders):
    _, _, after = folders
    found = compute_sample_metrics(read_model_evaluation(after), Task.POINTING)
    assert found.score.tolist() == [0.0] + [1.0] * 7
    assert found.success.tolist() == [False] + [True] * 7
    assert found.size[0] == pytest.approx(20 * 20 / (64 * 48))
