import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("metaworld") is None:
    collect_ignore_glob = ["test_*.py", "*/test_*.py"]

TWO_THINGS = """
<mujoco>
  <statistic extent="2" center="0 0 0"/>
  <visual><map znear="0.01" zfar="20"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <body name="rod" pos="0 0 .02"><freejoint/>
      <geom name="rod" type="box" size=".2 .015 .015"/></body>
    <body name="ball" pos=".3 .3 .03"><freejoint/>
      <geom name="ball" type="sphere" size=".03"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="session")
def metaworld():
    from maniplvm.simulation.worlds import load_world

    return load_world("metaworld")


@pytest.fixture(scope="module")
def open_scene(metaworld):
    scenes = {}

    def get(task):
        if task not in scenes:
            scenes[task] = metaworld.open(task)
        return scenes[task]

    yield get
    for scene in scenes.values():
        scene.close()


@pytest.fixture(scope="session")
def opengl():
    """Skips a test where there is no OpenGL."""
    import mujoco

    from maniplvm.errors import UserError
    from maniplvm.simulation.scene.rendering import Renderer

    try:
        Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), (64, 64)).close()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def two_things():
    """A rod and a ball on a floor, at rest."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(TWO_THINGS)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.fixture
def demonstration_of():
    """Builds a demonstration from a path, a gripper and contacts given as tuples."""
    from maniplvm.simulation.labels.demonstrations import ContactLog, Demonstration

    def build(path, gripper=None, contacts=(), initial=None):
        path = np.asarray(path, dtype=np.float64)
        gripper = -np.ones(len(path) - 1) if gripper is None else np.asarray(gripper, float)
        columns = list(zip(*contacts, strict=True)) or [[], [], [], [], []]
        step, geom, body, impulse, local = columns
        count = len(contacts)
        log = ContactLog(
            step=np.array(step, dtype=np.int64),
            hand_geom=np.zeros(count, dtype=np.int64),
            geom=np.array(geom, dtype=np.int64),
            body=np.array(body, dtype=np.int64),
            impulse=np.array(impulse, dtype=np.float64),
            local=np.array(local, dtype=np.float64).reshape(count, 3),
            offset=np.zeros((count, 3)),
        )
        return Demonstration(0, initial, path, gripper, log, success=True)

    return build
