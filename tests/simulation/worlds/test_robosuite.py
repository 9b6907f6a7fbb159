import importlib.util

import numpy as np
import pytest

from maniplvm.simulation.execution import Reason, SceneCache, execute
from maniplvm.simulation.labels.demonstrations import demonstrate
from maniplvm.simulation.labels.instructions import described_tasks
from maniplvm.simulation.worlds import load_world
from tests.simulation.execution.conftest import demonstrated_sample

pytestmark = [
    pytest.mark.sim,
    pytest.mark.skipif(
        importlib.util.find_spec("robosuite") is None, reason="needs the panda extra"
    ),
]


@pytest.fixture(scope="module")
def robosuite():
    return load_world("robosuite")


def test_every_task_has_instructions_and_an_expert(robosuite):
    assert (
        described_tasks("robosuite")
        == robosuite.tasks
        == (
            "Door",
            "Lift",
            "PickPlaceCan",
            "Stack",
        )
    )


def test_a_reset_depends_only_on_the_seed(robosuite):
    scene = robosuite.open("Lift")
    scene.reset(5)
    first = scene.data.qpos.copy()
    demonstrate(scene, 6)
    scene.reset(5)
    assert np.array_equal(scene.data.qpos, first)
    scene.reset(6)
    assert not np.array_equal(scene.data.qpos, first)
    scene.close()


def test_the_expert_opens_the_door(robosuite):
    scene = robosuite.open("Door")
    demonstration = demonstrate(scene, 0)
    hinge = scene.data.joint("Door_hinge").qpos[0]
    latch_body = scene.model.body("Door_latch").id
    scene.close()
    assert demonstration.success
    assert hinge > 0.3
    touched = demonstration.contacts
    assert touched.impulse[touched.body == latch_body].sum() > 0.5 * touched.impulse.sum()


def test_a_reference_solves_its_task_and_a_shifted_one_does_not(robosuite):
    sample = demonstrated_sample(robosuite, "Lift", 3)
    points = sample.target.points
    with SceneCache(1) as scenes:
        assert execute(sample, points, scenes=scenes).success
        shifted = execute(sample, points + [40.0, 0.0], scenes=scenes)
    assert shifted.reason in (Reason.NEVER_TOUCHED, Reason.WRONG_END)
