"""Touches in the shipped scenes: what a label says, physics must find without it."""

from pathlib import Path

import numpy as np
import pytest

from maniplvm.data import open_dataset
from maniplvm.simulation.execution import (
    Contact,
    ExecutionPool,
    Job,
    Scenes,
    TouchJob,
    touch_box,
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
def touched(pair):
    reference = Provenance.from_json(pair[0].provenance)
    with Scenes(1) as scenes:
        yield lambda box: touch_box(reference, box, scenes)


def test_the_labelled_box_helps_and_fits_what_it_touches(touched, pair):
    touch = touched(pair[0].target.xyxy)
    assert touch.contact is Contact.HELPS
    assert touch.helps
    assert touch.fit > 0.6


def test_the_same_box_always_ends_alike_whatever_was_touched_before(touched, pair):
    first = touched(pair[0].target.xyxy)
    touched([2, 2, 20, 20])
    assert touched(pair[0].target.xyxy) == first


def test_a_larger_box_with_the_same_centre_fits_worse(touched, pair):
    box = pair[0].target.xyxy
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    assert touched([*(centre - 3 * half), *(centre + 3 * half)]).fit < touched(box).fit / 2


@pytest.mark.parametrize("box", [[0, 0, 4, 4], [-50, -50, -40, -40], [np.nan, 0, 1, 1], [1, 2]])
def test_a_box_anywhere_else_earns_nothing(touched, box):
    touch = touched(box)
    assert not touch.helps
    assert touch.fit == 0


def test_the_pool_does_both_and_reports_progress_of_traces(pair):
    box, trace = pair
    path = trace.target.points
    with ExecutionPool(workers=1, timeout=60) as pool:
        touches = pool.touch([TouchJob(box, box.target.xyxy), TouchJob(box, None)])
        runs = pool.run([Job(trace, path), Job(trace, path[:2] + [[0, 0], [1, 1]])])
    assert [touch.helps for touch in touches] == [True, False]
    assert runs[0].success
    assert runs[0].progress == 1
    assert not runs[1].success
    assert 0 <= runs[1].progress < 1


def test_a_lost_touch_is_told_apart_from_a_useless_one(pair):
    with ExecutionPool(workers=1, timeout=60) as pool:
        (lost,) = pool.touch([TouchJob(pair[0], [["no"], "box"])])
    assert lost.contact is Contact.CRASHED
    assert not lost.helps
