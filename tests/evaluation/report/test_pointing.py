"""A page about points: regions, boxes that a protocol reads points for, and all panels of them."""

import json

import numpy as np
import pytest

from maniplvm.evaluation import evaluate
from maniplvm.evaluation.predictors.predictor import FilePredictor
from maniplvm.evaluation.report import Sources, build_report
from maniplvm.evaluation.report.folders import read_measured
from maniplvm.evaluation.report.sample_metrics import judge
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


def test_a_page_about_points_is_whole(folders):
    data, before, after = folders
    page = Page(build_report(Sources(after, data, before=before)))
    assert (page.faults, page.open) == ([], [])
    for text in (
        "Points: where to touch",
        "points inside",
        "share of points inside must be over",
        "mean share of points inside",
        "answers with more than half of their points inside",
        "is closer",
    ):
        assert text in page.text, text
    outlines = [a for a in page.named("polygon") if a.get("fill") == "none"]
    assert outlines


def test_points_are_judged_by_their_share_inside(folders):
    _, _, after = folders
    found = judge(read_measured(after), Task.POINTING)
    assert found.score.tolist() == [0.0] + [1.0] * 7
    assert found.success.tolist() == [False] + [True] * 7
    assert found.size[0] == pytest.approx(20 * 20 / (64 * 48))
