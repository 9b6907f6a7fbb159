import numpy as np
import pytest


def plain_reference(**changes):
    """A provenance without a simulator: three points on a line, with a gripper switch halfway."""
    from maniplvm.simulation.provenance import Provenance
    from maniplvm.simulation.scene.cameras import Camera

    fields = {
        "world": "metaworld",
        "task": "drawer-open-v3",
        "seed": 0,
        "view": 0,
        "camera": Camera((0.0, 0.0, 0.0), 1.0, 90.0, -30.0, 45.0, (200, 200)),
        "part": "the handle",
        "goal_marker": False,
        "touched_body": "",
        "touched_geoms": (),
        "visible_fraction": 1.0,
        "trace": np.array([[20.0, 100.0], [100.0, 100.0], [180.0, 100.0]]),
        "waypoint_depths": np.array([1.0, 1.2, 0.8]),
        "gripper": np.array([-1.0, 1.0, 1.0]),
        "contact_waypoint": 1,
        "traced_offset": np.zeros(3),
        "expert_steps": 10,
        "look": {},
        "versions": {},
    }
    return Provenance(**{**fields, **changes})


def demonstrated_sample(world, task, seed):
    """A trajectory sample like those of the generator, but without an image."""
    from maniplvm.simulation.labels.affordance import find_touched_part
    from maniplvm.simulation.labels.demonstrations import demonstrate
    from maniplvm.simulation.labels.traces import waypoints
    from maniplvm.simulation.scene.cameras import Framing, fit_camera
    from maniplvm.tasks import Sample, Task, TraceTarget

    scene = world.open(task)
    demonstration = demonstrate(scene, seed)
    part = find_touched_part(scene.model, demonstration)
    assert part is not None
    path = waypoints(demonstration, part)
    framing = Framing(scene.viewpoint.azimuths[0], -38.0, 45.0, 0.7, (0.5, 0.5))
    camera = fit_camera(path.points, framing, (192, 192))
    assert camera is not None
    pixels, depth = camera.project(path.points)
    reference = plain_reference(
        world=world.name,
        task=task,
        seed=seed,
        camera=camera,
        touched_body=scene.model.body(part.body).name or f"#{part.body}",
        trace=pixels,
        waypoint_depths=depth,
        gripper=path.gripper,
        traced_offset=path.offset,
    )
    scene.close()
    return Sample(
        id=f"{task}-{seed}",
        task=Task.TRAJECTORY,
        instruction="do it",
        image_size=(192, 192),
        target=TraceTarget(pixels),
        category=task,
        provenance=reference.to_json(),
    )


@pytest.fixture
def reference():
    return plain_reference()


@pytest.fixture(scope="session")
def sample_of(metaworld):
    made = {}

    def get(task, seed=0):
        if (task, seed) not in made:
            made[task, seed] = demonstrated_sample(metaworld, task, seed)
        return made[task, seed]

    return get


@pytest.fixture(scope="session")
def scenes():
    from maniplvm.simulation.execution import SceneCache

    with SceneCache(3) as kept:
        yield kept
