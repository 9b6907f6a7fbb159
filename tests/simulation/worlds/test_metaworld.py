import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.labels.demonstrations import ContactSensor, demonstrate
from maniplvm.simulation.labels.instructions import described_tasks

pytestmark = pytest.mark.sim


def state(scene):
    data, model = scene.data, scene.model
    return np.concatenate(
        [
            data.qpos,
            data.qvel,
            data.mocap_pos.ravel(),
            data.geom_xpos.ravel(),
            model.body_pos.ravel(),
        ]
    )


def test_an_unknown_task_lists_the_known_ones(metaworld):
    with pytest.raises(UserError, match="drawer-open-v3"):
        metaworld.open("fold-laundry")


def test_every_described_task_exists(metaworld):
    assert set(described_tasks("metaworld")) <= set(metaworld.tasks)
    assert len(described_tasks("metaworld")) == 48


@pytest.mark.parametrize("task", ["stick-pull-v3", "coffee-push-v3", "bin-picking-v3"])
def test_a_reset_depends_only_on_the_seed(open_scene, task):
    scene = open_scene(task)
    scene.reset(11)
    first = state(scene)
    demonstrate(scene, 12)
    scene.reset(11)
    assert np.array_equal(state(scene), first)
    scene.reset(12)
    assert not np.array_equal(state(scene), first)


def test_a_demonstration_can_be_repeated_exactly(open_scene):
    scene = open_scene("push-v3")
    first = demonstrate(scene, 5)
    again = demonstrate(scene, 5)
    assert first.success
    assert np.array_equal(first.path, again.path)
    assert np.array_equal(first.contacts.impulse, again.contacts.impulse)
    assert len(first.path) == first.steps + 1


def test_the_initial_state_stays_as_it_was_while_the_expert_acts(open_scene):
    scene = open_scene("push-v3")
    demonstration = demonstrate(scene, 5)
    scene.reset(5)
    assert np.array_equal(demonstration.initial.geom_xpos, scene.data.geom_xpos)


def test_the_controller_reaches_its_target(open_scene):
    scene = open_scene("push-v3")
    scene.reset(0)
    target = scene.end_effector() + (0.08, 0.05, 0.04)
    for _ in range(80):
        scene.move_towards(target, -1.0)
    assert np.linalg.norm(scene.end_effector() - target) < 0.01


def test_contacts_are_between_the_hand_and_other_bodies(open_scene):
    scene = open_scene("drawer-open-v3")
    log = demonstrate(scene, 0).contacts
    body_of = scene.model.geom_bodyid
    assert len(log)
    assert set(body_of[log.hand_geom]) <= scene.hand_bodies
    assert not set(log.body.tolist()) & scene.robot_bodies
    assert np.array_equal(body_of[log.geom], log.body)
    assert (log.impulse >= 0).all()


def test_there_is_no_contact_in_free_space(open_scene):
    scene = open_scene("push-v3")
    scene.reset(0)
    assert len(ContactSensor(scene).read(0, 0.0)) == 0


def test_hand_bodies_are_part_of_the_robot(open_scene):
    scene = open_scene("push-v3")
    assert scene.hand_bodies < scene.robot_bodies
    names = {scene.model.body(body).name for body in scene.hand_bodies}
    assert {"rightpad", "leftpad", "hand"} <= names
