import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.geometry import PinholeCamera

CAMERA = PinholeCamera(np.eye(3), np.array([1.0, 2, 3]), (100.0, 110.0), (32.0, 24.0))


def test_a_point_on_the_optical_axis_projects_to_the_centre():
    pixels, depth = CAMERA.project([[1, 2, 5], [1, 2, 9]])
    assert pixels.tolist() == [[32, 24], [32, 24]]
    assert depth.tolist() == [2, 6]


def test_right_and_down_are_positive_and_decrease_with_distance():
    pixels, _ = CAMERA.project([[1.5, 2, 4], [1, 2.5, 4], [1, 2.5, 5]])
    assert pixels.tolist() == [[82, 24], [32, 79], [32, 51.5]]


def test_behind_the_camera_the_depth_is_negative_and_nothing_is_infinite():
    pixels, depth = CAMERA.project([[1, 2, 2], [2, 3, 3]])
    assert depth.tolist() == [-1, 0]
    assert np.isfinite(pixels).all()


@given(st.floats(-60, 120), st.floats(-60, 120), st.floats(0.1, 9), st.integers(0, 2**32 - 1))
def test_a_projected_pixel_is_recovered_from_any_pose(x, y, depth, seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    camera = PinholeCamera(axes, rng.normal(size=3), (80.0, 90.0), (30.0, 20.0))
    seen = np.array([(x - 30) / 80 * depth, (y - 20) / 90 * depth, depth])
    pixels, found = camera.project(camera.position + seen @ axes)
    np.testing.assert_allclose(pixels, [[x, y]], atol=1e-6)
    np.testing.assert_allclose(found, [depth], atol=1e-9)
