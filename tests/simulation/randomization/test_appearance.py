import numpy as np
import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.labels.demonstrations import demonstrate
from maniplvm.simulation.randomization.appearance import BANK_SIZE, Appearance, texture
from maniplvm.simulation.randomization.distractors import place_distractors
from maniplvm.simulation.randomization.domain_randomization import (
    DomainRandomization,
    sample_framing,
)
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Viewpoint

pytestmark = pytest.mark.sim

PLAIN = DomainRandomization.without(["all"])
VIEW = Camera((0.0, 0.65, 0.1), 1.2, 145.0, -38.0, 45.0, (96, 96))
VIEWPOINT = Viewpoint(azimuths=(145.0,), elevation=-38.0, fovy=45.0)


@pytest.fixture(scope="module")
def render(metaworld, opengl):
    scene = metaworld.open("drawer-open-v3")
    scene.reset(0)
    appearance = Appearance(scene)
    with Renderer(scene.model, VIEW.size) as renderer:

        def image(seed, randomization, is_training=True):
            rng = np.random.default_rng(seed)
            look = appearance.apply(rng, randomization, is_training, renderer)
            return renderer.image(scene.data, VIEW, appearance.rotate_lights).astype(int), look

        yield image
    scene.close()


def only(kind):
    return DomainRandomization(**{**vars(PLAIN), kind: True})


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(UserError, match="field_of_view"):
        DomainRandomization.without(["weather"])


def test_each_kind_can_be_disabled_alone():
    assert not DomainRandomization.without(["light"]).light
    assert DomainRandomization.without(["light"]).colours
    assert not any(vars(PLAIN).values())


@pytest.mark.gl
def test_the_original_appearance_is_always_restored(render):
    first, look = render(1, PLAIN)
    render(2, DomainRandomization())
    again, _ = render(3, PLAIN)
    assert np.array_equal(first, again)
    assert look == {}


@pytest.mark.gl
@pytest.mark.parametrize("kind", ["light", "colours", "textures"])
def test_each_kind_alone_changes_the_image(render, kind):
    plain, _ = render(0, PLAIN)
    changes = [np.abs(render(seed, only(kind))[0] - plain).mean() for seed in range(4)]
    assert max(changes) > 3.0


@pytest.mark.gl
def test_an_appearance_depends_only_on_the_seed(render):
    first, _ = render(7, DomainRandomization())
    for seed in range(3):
        render(seed, DomainRandomization())
    again, _ = render(7, DomainRandomization())
    assert np.array_equal(first, again)


@pytest.mark.gl
def test_one_kind_does_not_change_the_other_kinds(render):
    _, everything = render(5, DomainRandomization())
    _, without_light = render(5, DomainRandomization.without(["light"]))
    assert everything.pop("light")
    assert everything == without_light


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("camera", {"azimuth", "elevation", "fill", "shift"}), ("field_of_view", {"fovy"})],
)
def test_only_the_enabled_kinds_change_the_framing(kind, changed):
    def framing(seed, randomization):
        return vars(sample_framing(np.random.default_rng(seed), VIEWPOINT, 145.0, randomization))

    plain, varied = framing(3, PLAIN), framing(3, only(kind))
    assert {name for name in plain if plain[name] != varied[name]} == changed
    assert framing(4, PLAIN) == plain


def test_training_and_test_textures_are_all_different():
    bank = [
        texture(number, is_training, 32, 32, 3).tobytes()
        for number in range(BANK_SIZE)
        for is_training in (True, False)
    ]
    assert len(set(bank)) == 2 * BANK_SIZE


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_texture_has_the_requested_size(channels):
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
        distractors = place_distractors(rng, scene, demonstration.initial, demonstration.path)
        seen += len(distractors)
        for number, distractor in enumerate(distractors):
            place = distractor.position[:2]
            gap = np.linalg.norm(demonstration.path[:, :2] - place, axis=1).min()
            assert gap > distractor.radius + 0.05
            assert (place >= low[:2]).all()
            assert (place <= high[:2]).all()
            for other in distractors[:number]:
                apart = np.linalg.norm(other.position[:2] - place)
                assert apart > distractor.radius + other.radius
    assert seen > 12
