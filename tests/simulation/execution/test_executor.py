import json
from pathlib import Path

import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.execution import (
    UNRELIABLE_TASKS,
    Execution,
    Reason,
    SceneCache,
    execute,
    follow_trace,
)
from maniplvm.simulation.provenance import Provenance

pytestmark = pytest.mark.sim

REPORT = Path(__file__).parents[3] / "results" / "execution.json"
TASKS = ("drawer-open-v3", "pick-place-v3", "button-press-topdown-v3")


@pytest.mark.parametrize("task", TASKS)
def test_a_reference_trace_solves_its_task(sample_of, scenes, task):
    execution = execute(sample_of(task), sample_of(task).target.points, scenes=scenes)
    assert execution.success
    assert 0 < execution.steps < 400


def test_the_same_trace_always_has_the_same_result(sample_of, scenes):
    sample = sample_of("pick-place-v3")
    noisy = sample.target.points + np.random.default_rng(1).normal(0, 6, (1, 2))
    first = execute(sample, noisy, scenes=scenes)
    execute(sample, sample.target.points, scenes=scenes)
    assert execute(sample, noisy, scenes=scenes) == first
    assert execute(sample, noisy) == first


def test_a_path_beside_the_part_never_touches_it(sample_of, scenes):
    sample = sample_of("drawer-open-v3")
    start = sample.target.points[0]
    execution = execute(sample, [start, start + [0, -15], start + [10, -25]], scenes=scenes)
    assert execution.reason is Reason.NEVER_TOUCHED


def test_a_path_beyond_the_arm_is_out_of_reach(sample_of, scenes):
    sample = sample_of("drawer-open-v3")
    start = sample.target.points[0]
    execution = execute(sample, [start, start + [0, -400]], scenes=scenes)
    assert execution.reason is Reason.OUT_OF_REACH


def test_a_touch_without_success_is_a_wrong_end(sample_of, scenes):
    sample = sample_of("pick-place-v3")
    points = sample.target.points.copy()
    points[-1] = points[-2] + 0.2 * (points[-1] - points[-2])
    assert execute(sample, points, scenes=scenes).reason is Reason.WRONG_END


@pytest.mark.parametrize("trace", [[[1, 1], [float("nan"), 2]], [[3, 3], [3, 3]], []])
def test_an_invalid_trace_has_a_detail(sample_of, scenes, trace):
    execution = execute(sample_of("drawer-open-v3"), trace, scenes=scenes)
    assert execution.reason is Reason.INVALID
    assert execution.steps == 0
    assert execution.detail.startswith("trace: ")


def test_the_time_limit_is_respected(sample_of, scenes):
    sample = sample_of("drawer-open-v3")
    execution = execute(sample, sample.target.points, scenes=scenes, timeout=1e-9)
    assert execution == Execution(Reason.TIMEOUT)


def test_the_step_callback_is_called_at_every_step(sample_of, scenes):
    sample = sample_of("drawer-open-v3")
    seen = []
    execution = follow_trace(
        Provenance.from_json(sample.provenance),
        sample.target.points,
        scenes,
        on_step=lambda scene: seen.append(scene.end_effector()),
    )
    assert len(seen) == execution.steps + 1
    assert np.linalg.norm(seen[-1] - seen[0]) > 0.05


def test_only_the_most_recently_used_scenes_are_kept():
    with SceneCache(1) as scenes:
        drawer = scenes.get("metaworld", "drawer-open-v3")
        assert scenes.get("metaworld", "drawer-open-v3") is drawer
        scenes.get("metaworld", "reach-v3")
        assert scenes.get("metaworld", "drawer-open-v3") is not drawer


def test_a_sample_from_elsewhere_is_refused(sample_of):
    from dataclasses import replace

    with pytest.raises(ValueError, match="camera"):
        execute(replace(sample_of("drawer-open-v3"), provenance={}), [[0, 0], [1, 1]])


def test_an_unknown_world_is_a_users_error(sample_of):
    from dataclasses import replace

    sample = sample_of("drawer-open-v3")
    elsewhere = replace(sample, provenance={**sample.provenance, "world": "isaac"})
    with pytest.raises(UserError, match="isaac"):
        execute(elsewhere, sample.target.points)


def test_the_unreliable_tasks_are_those_whose_own_references_fail():
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    least = report["least_reference_success"]
    measured = {
        task
        for rows in report["qualifying"].values()
        for task, row in rows.items()
        if row["success"] < least
    }
    assert measured == UNRELIABLE_TASKS
