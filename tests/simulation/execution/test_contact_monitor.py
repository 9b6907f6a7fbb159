from types import SimpleNamespace

import mujoco
import pytest

from maniplvm.simulation.execution.contact_monitor import LOST_STEPS, Watch

pytestmark = pytest.mark.sim

FLOATING = """
<mujoco>
  <option gravity="0 0 0"/>
  <worldbody>
    <body name="hand"><freejoint/><geom type="sphere" size=".05"/></body>
    <body name="cup" pos="1 0 0"><freejoint/><geom type="sphere" size=".05"/></body>
    <body pos="-1 0 0"><freejoint/><geom type="sphere" size=".05"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def scene():
    model = mujoco.MjModel.from_xml_string(FLOATING)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return SimpleNamespace(
        world="test", task="float", model=model, data=data, hand_bodies=frozenset({1})
    )


def put(scene, hand, cup):
    scene.data.qpos[0], scene.data.qpos[7] = hand, cup
    mujoco.mj_forward(scene.model, scene.data)


def test_a_part_that_the_hand_meets_is_touched(scene):
    watch = Watch(scene, "cup")
    watch.look(holding=False)
    assert not watch.touched
    put(scene, 0.92, 1.0)
    watch.look(holding=False)
    assert watch.touched


def test_meeting_another_body_is_not_touching_the_part(scene):
    watch = Watch(scene, "cup")
    put(scene, -0.92, 1.0)
    watch.look(holding=False)
    assert not watch.touched


def test_a_carried_part_that_is_lost_was_dropped(scene):
    watch = Watch(scene, "cup")
    put(scene, 1.42, 1.5)
    watch.look(holding=True)
    put(scene, 0.0, 1.5)
    for _ in range(LOST_STEPS):
        assert not watch.dropped
        watch.look(holding=True)
    assert watch.dropped


def test_a_part_that_is_let_go_on_purpose_was_not_dropped(scene):
    watch = Watch(scene, "cup")
    put(scene, 1.42, 1.5)
    watch.look(holding=True)
    put(scene, 0.0, 1.5)
    for _ in range(3 * LOST_STEPS):
        watch.look(holding=False)
    assert not watch.dropped


def test_a_part_that_was_only_pushed_was_not_dropped(scene):
    watch = Watch(scene, "cup")
    put(scene, 1.42, 1.5)
    watch.look(holding=False)
    put(scene, 0.0, 1.5)
    for _ in range(3 * LOST_STEPS):
        watch.look(holding=True)
    assert not watch.dropped


def test_a_body_without_a_name_is_known_by_its_number(scene):
    watch = Watch(scene, "#3")
    put(scene, -0.92, 1.0)
    watch.look(holding=False)
    assert watch.touched


@pytest.mark.parametrize("part", ["teapot", "#99", "#x"])
def test_an_unknown_part_is_named(scene, part):
    with pytest.raises(ValueError, match=part):
        Watch(scene, part)


def test_where_nothing_is_to_be_touched_nothing_is_missed(scene):
    assert Watch(scene, "").touched
