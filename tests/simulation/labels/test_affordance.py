import numpy as np
import pytest

from maniplvm.simulation.labels.affordance import find_touched_part, view_part
from maniplvm.simulation.labels.demonstrations import demonstrate
from maniplvm.simulation.scene.cameras import Camera, Framing, fit_camera
from maniplvm.simulation.scene.rendering import Renderer

pytestmark = pytest.mark.sim

PATH = np.zeros((41, 3))
ORIGIN = (0.0, 0.0, 0.0)


def ids(model, name):
    return model.geom(name).id, model.body(name).id


def test_a_short_accidental_contact_is_ignored(two_things, demonstration_of):
    model, data = two_things
    ball, rod = ids(model, "ball"), ids(model, "rod")
    contacts = [(3, *ball, 0.02, ORIGIN), *((step, *rod, 1.0, ORIGIN) for step in range(10, 30))]
    part = find_touched_part(model, demonstration_of(PATH, contacts=contacts, initial=data))
    assert part is not None
    assert part.body == rod[1]
    assert part.first_step == 10


def test_of_two_touched_bodies_the_first_is_taken(two_things, demonstration_of):
    model, data = two_things
    ball, rod = ids(model, "ball"), ids(model, "rod")
    contacts = [(3, *ball, 1.0, ORIGIN), *((step, *rod, 1.0, ORIGIN) for step in range(10, 15))]
    part = find_touched_part(model, demonstration_of(PATH, contacts=contacts, initial=data))
    assert part is not None
    assert part.body == ball[1]


def test_fixed_bodies_are_ignored_if_a_movable_body_is_touched(two_things, demonstration_of):
    model, data = two_things
    floor = (model.geom("floor").id, 0)
    contacts = [(1, *floor, 50.0, ORIGIN), (9, *ids(model, "ball"), 0.5, ORIGIN)]
    part = find_touched_part(model, demonstration_of(PATH, contacts=contacts, initial=data))
    assert part is not None
    assert part.body == model.body("ball").id


def test_no_contact_gives_no_part(two_things, demonstration_of):
    model, data = two_things
    assert find_touched_part(model, demonstration_of(PATH, initial=data)) is None


@pytest.mark.gl
def test_the_box_of_a_long_rod_covers_only_the_grip(opengl, two_things, demonstration_of):
    model, data = two_things
    grip = [(5, *ids(model, "rod"), 1.0, (0.15, 0.0, 0.0))]
    part = find_touched_part(model, demonstration_of(PATH, contacts=grip, initial=data))
    assert part is not None
    camera = Camera((0, 0, 0), 1.0, 90.0, -89.0, 45.0, (300, 300))
    with Renderer(model, camera.size) as renderer:
        view = view_part(renderer, model, data, camera, part, renderer.segmentation(data, camera))
    assert view is not None
    (near, far), _ = camera.project([[0.2, 0, 0.03], [0.1, 0, 0.03]])
    width = view.box[2] - view.box[0]
    assert width == pytest.approx(abs(near[0] - far[0]), abs=6)
    assert view.visible > 0.95
    rows, columns = np.nonzero(view.mask)
    assert view.box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.gl
def test_an_occluded_part_has_no_view(opengl, two_things, demonstration_of):
    model, data = two_things
    touch = [(5, *ids(model, "ball"), 1.0, ORIGIN)]
    part = find_touched_part(model, demonstration_of(PATH, contacts=touch, initial=data))
    assert part is not None
    below = Camera((0.3, 0.3, 0), 0.6, 0.0, 45.0, 45.0, (100, 100))
    with Renderer(model, below.size) as renderer:
        segmentation = renderer.segmentation(data, below)
        assert view_part(renderer, model, data, below, part, segmentation) is None


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("coffee-pull-v3", "mug"),
        ("drawer-open-v3", "drawer_link"),
        ("stick-push-v3", None),
        ("hammer-v3", "hammer"),
        ("lever-pull-v3", "lever_link1"),
        ("window-close-v3", "windowb_a"),
    ],
)
def test_contact_finds_the_part_that_the_task_is_about(open_scene, task, body):
    scene = open_scene(task)
    demonstration = demonstrate(scene, 1)
    part = find_touched_part(scene.model, demonstration)
    assert demonstration.success
    assert part is not None
    if body is None:  # the stick has no name, but it is what the hand holds, not the thermos
        assert scene.model.geom_bodyid[scene.model.geom("objGeom").id] == part.body
    else:
        assert scene.model.body(part.body).name == body


def test_a_reach_task_has_no_touched_part(open_scene):
    scene = open_scene("reach-v3")
    assert find_touched_part(scene.model, demonstrate(scene, 0)) is None


@pytest.mark.gl
@pytest.mark.parametrize("task", ["coffee-pull-v3", "window-close-v3"])
def test_the_box_contains_the_contact_point(opengl, open_scene, task):
    scene = open_scene(task)
    demonstration = demonstrate(scene, 2)
    part = find_touched_part(scene.model, demonstration)
    assert part is not None
    framing = Framing(145.0, -38.0, 45.0, 0.7, (0.5, 0.5))
    camera = fit_camera(np.vstack([demonstration.path, part.points]), framing, (200, 200))
    assert camera is not None
    with Renderer(scene.model, camera.size) as renderer:
        segmentation = renderer.segmentation(demonstration.initial, camera)
        view = view_part(renderer, scene.model, demonstration.initial, camera, part, segmentation)
    assert view is not None
    touched = camera.project(part.points)[0].mean(axis=0)
    assert (touched >= view.box[:2] - 4).all()
    assert (touched <= view.box[2:] + 4).all()
