import numpy as np
import pytest
from PIL import Image

from maniplvm.data.image_statistics import ImageStatistics, statistics_of
from maniplvm.errors import UserError


def flat_scene(seed):
    """A few flat rectangles, as a simple renderer draws them."""
    rng = np.random.default_rng(seed)
    pixels = np.full((120, 160, 3), rng.integers(90, 160, 3), np.uint8)
    for _ in range(5):
        x, y = rng.integers(0, 120), rng.integers(0, 90)
        pixels[y : y + 30, x : x + 40] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels)


def noise(seed):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def fitted():
    return ImageStatistics.fit(flat_scene(seed) for seed in range(200))


def test_most_images_of_the_same_kind_are_typical_and_another_kind_is_not(fitted):
    assert np.mean([fitted.differs(flat_scene(seed)) for seed in range(200)]) == pytest.approx(0.05)
    assert np.mean([fitted.differs(flat_scene(seed)) for seed in range(1000, 1100)]) < 0.3
    assert all(fitted.differs(noise(seed)) for seed in range(10))


def test_statistics_survive_a_file_and_a_change_of_size(fitted, tmp_path):
    fitted.write(tmp_path / "s.json")
    again, image = ImageStatistics.read(tmp_path / "s.json"), flat_scene(3)
    assert again.distance(image) == fitted.distance(image)
    assert again.limit == fitted.limit
    doubled = image.resize((320, 240), Image.Resampling.NEAREST)
    assert np.allclose(statistics_of(doubled), statistics_of(image), atol=0.3)


def test_an_image_of_one_colour_has_finite_statistics(fitted):
    image = Image.new("RGB", (1, 1))
    assert np.isfinite(statistics_of(image)).all()
    assert np.isfinite(fitted.distance(image))


def test_too_few_images_and_a_damaged_file_are_errors(tmp_path):
    with pytest.raises(ValueError, match="at least 100 images, got 3"):
        ImageStatistics.fit(map(flat_scene, range(3)))
    (tmp_path / "s.json").write_text('{"mean": [1, 2], "precision": [[1]]}')
    with pytest.raises(UserError, match=r"s.json: not the statistics of images"):
        ImageStatistics.read(tmp_path / "s.json")
