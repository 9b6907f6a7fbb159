import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.simulation.scene.cameras import Camera, Framing, fit_camera
from maniplvm.simulation.scene.rendering import Renderer

pytestmark = pytest.mark.sim

DEGREES = st.floats(-180, 180)
cameras = st.builds(
    Camera,
    lookat=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1)),
    distance=st.floats(0.3, 2),
    azimuth=DEGREES,
    elevation=st.floats(-80, 10),
    fovy=st.floats(20, 80),
    size=st.tuples(st.integers(32, 400), st.integers(32, 400)),
)
framings = st.builds(
    Framing,
    azimuth=DEGREES,
    elevation=st.floats(-70, -10),
    fovy=st.floats(30, 60),
    fill=st.floats(0.3, 0.85),
    shift=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)


@given(cameras)
def test_the_axes_are_orthonormal_and_right_handed(camera):
    right, up, forward = camera.axes
    assert np.allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
    assert np.allclose(np.cross(right, up), -forward)


@given(cameras)
def test_the_point_looked_at_is_in_the_middle(camera):
    pixels, depth = camera.project([camera.lookat])
    assert pixels[0] == pytest.approx(np.array(camera.size) / 2, abs=1e-6)
    assert depth[0] == pytest.approx(camera.distance)


@given(cameras, st.floats(-100, 500), st.floats(-100, 500), st.floats(0.05, 5))
def test_projecting_undoes_unprojecting(camera, x, y, depth):
    points = camera.unproject([[x, y]], [depth])
    pixels, seen = camera.project(points)
    assert pixels[0] == pytest.approx([x, y], abs=1e-6)
    assert seen[0] == pytest.approx(depth)


@given(cameras)
def test_a_camera_survives_a_json_round_trip(camera):
    assert Camera.from_json(camera.to_json()) == camera


@given(framings, st.integers(0, 2**32 - 1))
def test_a_fitted_camera_shows_the_whole_subject(framing, seed):
    subject = np.random.default_rng(seed).uniform((-0.3, 0.4, 0), (0.3, 0.9, 0.3), (12, 3))
    camera = fit_camera(subject, framing, (160, 120))
    if camera is not None:
        pixels, depth = camera.project(subject)
        assert (pixels >= 0).all()
        assert (pixels <= (160, 120)).all()
        assert depth.min() > 0


def test_a_subject_too_large_for_any_distance_has_no_camera():
    framing = Framing(azimuth=90, elevation=-30, fovy=40, fill=0.7, shift=(0.5, 0.5))
    assert fit_camera([[-5, 0, 0], [5, 0, 0]], framing, (100, 100)) is None


@pytest.mark.gl
@pytest.mark.parametrize("azimuth", [0.0, 35.0, 145.0, 250.0])
@pytest.mark.parametrize("size", [(240, 240), (320, 200)])
def test_the_renderer_draws_a_ball_where_the_camera_projects_it(opengl, two_things, azimuth, size):
    model, data = two_things
    camera = Camera((0.25, 0.2, 0.05), 0.7, azimuth, -40.0, 50.0, size)
    ball = model.geom("ball").id
    with Renderer(model, size) as renderer:
        segmentation = renderer.segmentation(data, camera)
        image = renderer.image(data, camera)
    rows, columns = np.nonzero(segmentation.geom == ball)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    pixels, depth = camera.project(data.geom_xpos[ball])
    assert np.linalg.norm(middle - pixels[0]) < 0.8
    assert segmentation.depth[rows, columns].min() == pytest.approx(depth[0] - 0.03, abs=0.003)
    assert image.shape == (size[1], size[0], 3)


@pytest.mark.gl
def test_unprojected_pixels_lie_on_the_surface_that_is_drawn(opengl, two_things):
    model, data = two_things
    camera = Camera((0.2, 0.2, 0.0), 0.8, 120.0, -50.0, 45.0, (200, 200))
    with Renderer(model, camera.size) as renderer:
        segmentation = renderer.segmentation(data, camera)
    rows, columns = np.nonzero(segmentation.geom == model.geom("floor").id)
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
    points = camera.unproject(pixels, segmentation.depth[rows, columns])
    assert np.abs(points[:, 2]).max() < 0.002


@pytest.mark.gl
def test_the_segmentation_of_one_geom_ignores_occlusion(opengl, two_things):
    model, data = two_things
    camera = Camera((0.3, 0.3, 0.0), 0.5, 0.0, 40.0, 45.0, (100, 100))  # from under the floor
    ball = model.geom("ball").id
    groups = model.geom_group.copy()
    with Renderer(model, camera.size) as renderer:
        alone = renderer.segmentation_of(data, camera, [ball])
    assert (alone.geom == ball).any()
    assert np.array_equal(model.geom_group, groups)


def test_without_opengl_one_line_names_the_packages_to_install(monkeypatch):
    from maniplvm.errors import UserError

    monkeypatch.setenv("MUJOCO_GL", "no_such_backend")
    with pytest.raises(UserError, match="apt-get install") as caught:
        Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), (64, 64))
    assert "\n" not in str(caught.value)


WITHOUT_DRIVER = """
import mujoco
from maniplvm.errors import UserError
from maniplvm.simulation.scene.rendering import Renderer
try:
    Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), (8, 8))
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="EGL is the backend of Linux")
def test_without_a_driver_the_libraries_print_no_lines_of_their_own():
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVER],
        env={**environment, "__EGL_VENDOR_LIBRARY_FILENAMES": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("OpenGL is not available")
    assert done.stderr == ""
