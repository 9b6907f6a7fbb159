from types import SimpleNamespace

import mujoco
import pytest

from maniplvm.simulation.execution.contact_monitor import LOST_STEPS, ContactMonitor

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


def test_contact_with_the_hand_is_a_touch(scene):
    monitor = ContactMonitor(scene, "cup")
    monitor.update(is_closed=False)
    assert not monitor.touched
    put(scene, 0.92, 1.0)
    monitor.update(is_closed=False)
    assert monitor.touched


def test_contact_with_another_body_is_no_touch(scene):
    monitor = ContactMonitor(scene, "cup")
    put(scene, -0.92, 1.0)
    monitor.update(is_closed=False)
    assert not monitor.touched


def test_a_carried_part_that_loses_contact_is_dropped(scene):
    monitor = ContactMonitor(scene, "cup")
    put(scene, 1.42, 1.5)
    monitor.update(is_closed=True)
    put(scene, 0.0, 1.5)
    for _ in range(LOST_STEPS):
        assert not monitor.dropped
        monitor.update(is_closed=True)
    assert monitor.dropped


def test_a_part_that_is_released_on_purpose_is_not_dropped(scene):
    monitor = ContactMonitor(scene, "cup")
    put(scene, 1.42, 1.5)
    monitor.update(is_closed=True)
    put(scene, 0.0, 1.5)
    for _ in range(3 * LOST_STEPS):
        monitor.update(is_closed=False)
    assert not monitor.dropped


def test_a_part_that_was_only_pushed_is_not_dropped(scene):
    monitor = ContactMonitor(scene, "cup")
    put(scene, 1.42, 1.5)
    monitor.update(is_closed=False)
    put(scene, 0.0, 1.5)
    for _ in range(3 * LOST_STEPS):
        monitor.update(is_closed=True)
    assert not monitor.dropped


def test_a_body_without_a_name_is_found_by_its_number(scene):
    monitor = ContactMonitor(scene, "#3")
    put(scene, -0.92, 1.0)
    monitor.update(is_closed=False)
    assert monitor.touched


@pytest.mark.parametrize("part", ["teapot", "#99", "#x"])
def test_an_unknown_body_is_an_error(scene, part):
    with pytest.raises(ValueError, match=part):
        ContactMonitor(scene, part)


def test_a_task_without_a_part_counts_as_touched(scene):
    assert ContactMonitor(scene, "").touched
