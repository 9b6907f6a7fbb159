from pathlib import Path

import numpy as np
import pytest

from maniplvm.data.calibration import read_calibration
from maniplvm.errors import UserError
from tests.data.readers.robot_data import (
    CORNERS,
    DEPTHS,
    INTRINSICS,
    SIZE,
    camera_from_base,
    lifted,
    write_calibration,
)

POSE = camera_from_base().tolist()
INVERSE = np.linalg.inv(camera_from_base()).tolist()


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"extrinsics": POSE},
        {"extrinsics": {"base_from_camera": INVERSE}},
        {"intrinsics": {"fx": 60, "fy": 62.0, "cx": 33, "cy": 23}},
    ],
)
def test_every_spelling_gives_the_same_camera(name, changes, tmp_path):
    calibration = read_calibration(write_calibration(tmp_path / name, **changes))
    pixels, depths = calibration.pinhole.project(lifted(CORNERS, DEPTHS))
    np.testing.assert_allclose(pixels, CORNERS, atol=1e-9)
    np.testing.assert_allclose(depths, DEPTHS, atol=1e-12)
    assert calibration.image_size == SIZE
    assert calibration.position.names == ("x", "y", "z")
    assert calibration.metres == 1.0
    assert calibration.camera is None


def test_units_columns_and_the_camera_are_read(tmp_path):
    position = {"column": "observation.pose", "indices": [3, 4, 5]}
    path = write_calibration(tmp_path / "c.yaml", unit="mm", camera="front", position=position)
    calibration = read_calibration(path)
    assert calibration.metres == 0.001
    assert calibration.camera == "front"
    assert calibration.position.column == "observation.pose"
    assert calibration.position.indices == (3, 4, 5)
    assert calibration.position.names is None


def test_numbers_as_numpy_prints_them_are_numbers(tmp_path):
    path = write_calibration(tmp_path / "c.yaml")
    path.write_text(path.read_text().replace("- 0.0\n", "- 0e-05\n"))
    assert read_calibration(path).pinhole.focal == (60.0, 62.0)


def bent(row, column, value):
    pose = np.array(POSE)
    pose[row, column] = value
    return pose.tolist()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"intrinsics": ...}, "intrinsics: missing; a value is needed"),
        ({"extrinsics": ..., "position": None}, "extrinsics: missing"),
        ({"position": None}, "position: expected a mapping, got None"),
        ({"distortion": [0.1]}, "unknown key 'distortion'; choose from intrinsics, extrinsics"),
        ({"unit": "inch"}, "unit: choose from m, cm, mm; got 'inch'"),
        ({"camera": 3}, "camera: expected a string, got 3"),
        (
            {"intrinsics": {"fx": 1, "k1": 2}},
            "intrinsics: expected the keys fx, fy, cx, cy; found fx, k1",
        ),
        ({"intrinsics": {"fx": 0, "fy": 1, "cx": 1, "cy": 1}}, "focal lengths above 0 px"),
        (
            {"intrinsics": {"fx": "a", "fy": 1, "cx": 1, "cy": 1}},
            "intrinsics.fx: expected a number, got 'a'",
        ),
        (
            {"intrinsics": {"fx": float("nan"), "fy": 1, "cx": 1, "cy": 1}},
            "intrinsics.fx: expected a finite number",
        ),
        ({"intrinsics": (INTRINSICS.T).tolist()}, "needs the form [[fx, 0, cx], [0, fy, cy]"),
        ({"intrinsics": [[1, 0], [0, 1]]}, "needs a 3x3 matrix as 3 rows"),
        ({"intrinsics": 5}, "intrinsics: expected a mapping or a list, got 5"),
        ({"extrinsics": POSE[:3]}, "needs a 4x4 matrix as 4 rows"),
        ({"extrinsics": [row[:3] for row in POSE]}, "extrinsics[0]: needs 4 numbers, got 3"),
        ({"extrinsics": {"camera": POSE}}, "under 'camera_from_base' or 'base_from_camera'"),
        ({"extrinsics": bent(3, 0, 1.0)}, "needs a rotation and a translation"),
        ({"extrinsics": bent(0, 0, 2.0)}, "needs a rotation and a translation"),
        ({"extrinsics": np.diag([-1.0, 1, 1, 1]).tolist()}, "right-handed"),
        ({"image_size": [64]}, "image_size: expected [width, height] in pixels, got [64]"),
        ({"image_size": [64.5, 48]}, "image_size[0]: expected an integer, got 64.5"),
        ({"image_size": [0, 48]}, "image_size: expected [width, height] in pixels, got [0, 48]"),
        ({"position": {"column": "a"}}, "needs either 'names' or 'indices'"),
        ({"position": {"names": ["x"] * 3, "indices": [0, 1, 2]}}, "needs either 'names' or"),
        ({"position": {"names": ["x", "y"]}}, "position.names: expected three different values"),
        (
            {"position": {"names": ["x", "x", "z"]}},
            "position.names: expected three different values",
        ),
        ({"position": {"names": "xyz"}}, "position.names: expected a list, got 'xyz'"),
        ({"position": {"indices": [0, 1, 1]}}, "position.indices: expected three different values"),
        ({"position": {"indices": [0, 1, -1]}}, "position.indices: must not be negative"),
        (
            {"position": {"indices": [0, 1]}},
            "position.indices: expected three different values, got [0, 1]",
        ),
        (
            {"position": {"indices": [0, 1, 2], "column": 3}},
            "position.column: expected a string, got 3",
        ),
        ({"position": ["x", "y", "z"]}, "position: expected a mapping, got ['x', 'y', 'z']"),
    ],
)
def test_whatever_makes_no_camera_is_named_with_its_key(changes, words, tmp_path):
    path = write_calibration(tmp_path / "c.yaml", **changes)
    with pytest.raises(UserError) as caught:
        read_calibration(path)
    assert words in str(caught.value)
    assert str(caught.value).removeprefix("calibration ").startswith(f"{path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.yaml", "a: [", "c.yaml: not YAML"),
        ("c.json", "a: 1", "c.json: not JSON"),
        ("c.json", '{"unit": "m", "unit": "cm"}', "key 'unit' appears twice"),
        ("c.yaml", "unit: m\nunit: cm", "key 'unit' appears twice"),
        ("c.yaml", "- 1", "expected a mapping"),
        ("c.yaml", "1: 2", "expected a mapping"),
        ("c.yaml", "!!python/object/apply:os.getcwd []", "c.yaml: not YAML"),
    ],
)
def test_a_file_of_another_kind_is_named(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_calibration(tmp_path / name)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"calibration .*gone.yaml: cannot be read \(No such"):
        read_calibration(tmp_path / "gone.yaml")


def test_the_example_of_the_page_is_a_calibration(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
    start = page.read_text(encoding="utf-8").split("```yaml\n", 1)[1]
    (tmp_path / "front.yaml").write_text(start.split("```", 1)[0])
    calibration = read_calibration(tmp_path / "front.yaml")
    assert (calibration.camera, calibration.image_size) == ("front", (640, 480))
    np.testing.assert_allclose(calibration.pinhole.position, [0.8, -0.5, 0.6], atol=1e-3)
