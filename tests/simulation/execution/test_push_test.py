"""Push tests in the shipped scenes: physics must confirm the labels without using them."""

from pathlib import Path

import numpy as np
import pytest

from maniplvm.data import open_dataset
from maniplvm.simulation.execution import (
    ExecutionJob,
    ExecutionPool,
    PushOutcome,
    PushTestJob,
    SceneCache,
    run_push_test,
)
from maniplvm.simulation.provenance import Provenance

DATA = Path(__file__).parents[3] / "datasets" / "sim-small"
TASK = "plate-slide-side-v3"


@pytest.fixture(scope="module")
def pair():
    """A box and a trace of one scene."""
    dataset = open_dataset(DATA)
    found = [
        next(s for s in dataset.samples("adapt", task, images=False) if s.category == TASK)
        for task in ("affordance", "trajectory")
    ]
    assert [sample.provenance["task"] for sample in found] == [TASK, TASK]
    return found


@pytest.fixture(scope="module")
def push_test(pair):
    reference = Provenance.from_json(pair[0].provenance)
    with SceneCache(1) as scenes:
        yield lambda box: run_push_test(reference, box, scenes)


def test_the_labelled_box_helps_and_fits_the_touched_surface(push_test, pair):
    result = push_test(pair[0].target.xyxy)
    assert result.outcome is PushOutcome.HELPS
    assert result.helps
    assert result.fit > 0.6


def test_a_result_does_not_depend_on_earlier_push_tests(push_test, pair):
    first = push_test(pair[0].target.xyxy)
    push_test([2, 2, 20, 20])
    assert push_test(pair[0].target.xyxy) == first


def test_a_larger_box_with_the_same_centre_fits_worse(push_test, pair):
    box = pair[0].target.xyxy
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    assert push_test([*(centre - 3 * half), *(centre + 3 * half)]).fit < push_test(box).fit / 2


@pytest.mark.parametrize("box", [[0, 0, 4, 4], [-50, -50, -40, -40], [np.nan, 0, 1, 1], [1, 2]])
def test_a_box_elsewhere_does_not_help(push_test, box):
    result = push_test(box)
    assert not result.helps
    assert result.fit == 0


def test_the_pool_runs_push_tests_and_executions(pair):
    box, trace = pair
    path = trace.target.points
    with ExecutionPool(workers=1, timeout=60) as pool:
        results = pool.run_push_tests([PushTestJob(box, box.target.xyxy), PushTestJob(box, None)])
        runs = pool.run(
            [ExecutionJob(trace, path), ExecutionJob(trace, path[:2] + [[0, 0], [1, 1]])]
        )
    assert [result.helps for result in results] == [True, False]
    assert runs[0].success
    assert runs[0].progress == 1
    assert not runs[1].success
    assert 0 <= runs[1].progress < 1


def test_a_crashed_push_test_differs_from_a_useless_box(pair):
    with ExecutionPool(workers=1, timeout=60) as pool:
        (lost,) = pool.run_push_tests([PushTestJob(pair[0], [["no"], "box"])])
    assert lost.outcome is PushOutcome.CRASHED
    assert not lost.helps
