import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.labels.demonstrations import demonstrate
from maniplvm.simulation.randomization.appearance import Appearance, Variety, any_framing
from maniplvm.simulation.randomization.distractors import scatter
from maniplvm.simulation.randomization.textures import BANK_SIZE, texture
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Viewpoint

pytestmark = pytest.mark.sim

PLAIN = Variety.without(["all"])
VIEW = Camera((0.0, 0.65, 0.1), 1.2, 145.0, -38.0, 45.0, (96, 96))
VIEWPOINT = Viewpoint(azimuths=(145.0,), elevation=-38.0, fovy=45.0)


@pytest.fixture(scope="module")
def dressing_room(metaworld, opengl):
    scene = metaworld.open("drawer-open-v3")
    scene.reset(0)
    appearance = Appearance(scene)
    with Renderer(scene.model, VIEW.size) as renderer:

        def image(seed, variety, teaches=True):
            look = appearance.dress(np.random.default_rng(seed), variety, teaches, renderer)
            return renderer.image(scene.data, VIEW, appearance.aim_lights).astype(int), look

        yield image
    scene.close()


def only(kind):
    return Variety(**{**vars(PLAIN), kind: True})


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(UserError, match="field_of_view"):
        Variety.without(["weather"])


def test_a_kind_can_be_switched_off_alone():
    assert not Variety.without(["light"]).light
    assert Variety.without(["light"]).colours
    assert not any(vars(PLAIN).values())


@pytest.mark.gl
def test_the_plain_look_is_always_the_same(dressing_room):
    first, look = dressing_room(1, PLAIN)
    dressing_room(2, Variety())
    again, _ = dressing_room(3, PLAIN)
    assert np.array_equal(first, again)
    assert look == {}


@pytest.mark.gl
@pytest.mark.parametrize("kind", ["light", "colours", "textures"])
def test_each_kind_alone_changes_the_image(dressing_room, kind):
    plain, _ = dressing_room(0, PLAIN)
    changes = [np.abs(dressing_room(seed, only(kind))[0] - plain).mean() for seed in range(4)]
    assert max(changes) > 3.0


@pytest.mark.gl
def test_a_look_depends_on_the_seed_alone(dressing_room):
    first, _ = dressing_room(7, Variety())
    for seed in range(3):
        dressing_room(seed, Variety())
    again, _ = dressing_room(7, Variety())
    assert np.array_equal(first, again)


@pytest.mark.gl
def test_one_switch_does_not_disturb_the_other_kinds(dressing_room):
    _, everything = dressing_room(5, Variety())
    _, without_light = dressing_room(5, Variety.without(["light"]))
    assert everything.pop("light")
    assert everything == without_light


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("camera", {"azimuth", "elevation", "fill", "shift"}), ("field_of_view", {"fovy"})],
)
def test_the_framing_varies_only_in_what_is_switched_on(kind, changed):
    def framing(seed, variety):
        return vars(any_framing(np.random.default_rng(seed), VIEWPOINT, 145.0, variety))

    plain, varied = framing(3, PLAIN), framing(3, only(kind))
    assert {name for name in plain if plain[name] != varied[name]} == changed
    assert framing(4, PLAIN) == plain


def test_the_teaching_and_the_testing_textures_are_all_different():
    bank = [
        texture(number, teaches, 32, 32, 3).tobytes()
        for number in range(BANK_SIZE)
        for teaches in (True, False)
    ]
    assert len(set(bank)) == 2 * BANK_SIZE


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_texture_has_the_size_asked_for(channels):
    image = texture(2, True, 40, 70, channels)
    assert image.shape == (40, 70, channels)
    assert image.dtype == np.uint8


def test_distractors_keep_clear_of_the_path_and_of_each_other(open_scene):
    scene = open_scene("pick-place-v3")
    demonstration = demonstrate(scene, 0)
    low, high = scene.workspace
    seen = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        things = scatter(rng, scene, demonstration.initial, demonstration.path)
        seen += len(things)
        for number, thing in enumerate(things):
            place = thing.position[:2]
            gap = np.linalg.norm(demonstration.path[:, :2] - place, axis=1).min()
            assert gap > thing.radius + 0.05
            assert (place >= low[:2]).all()
            assert (place <= high[:2]).all()
            for other in things[:number]:
                apart = np.linalg.norm(other.position[:2] - place)
                assert apart > thing.radius + other.radius
    assert seen > 12
