"""One published LeRobot episode, if a copy exists: a humanoid that records joint angles only."""

from pathlib import Path

import numpy as np
import pytest

from maniplvm.data import ErrorCode, read_records
from maniplvm.data.images import decode
from maniplvm.data.readers._parquet import number_rows, read_columns
from maniplvm.data.readers.lerobot.info import read_info
from maniplvm.data.video import read_frame
from maniplvm.errors import UserError
from tests.data.conftest import REAL
from tests.data.readers.robot_data import write_calibration

ROOT = REAL.parent / "lerobot_v21"
CAMERA = "observation.images.ego_view"

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="the real sample is not here")


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """An arbitrary camera: the test checks that a trace exists, not where it is."""
    pose = np.eye(4)
    pose[2, 3] = 5.0
    return write_calibration(
        tmp_path / "any.yaml",
        image_size=[256, 256],
        intrinsics={"fx": 200, "fy": 200, "cx": 128, "cy": 128},
        extrinsics={"camera_from_base": pose.tolist()},
        position={"names": ["motor_22", "motor_23", "motor_24"]},
    )


def test_its_frame_is_decoded():
    image = read_frame(ROOT / "videos" / "chunk-000" / CAMERA / "episode_000004.mp4")
    assert image.size == (256, 256)
    pixels = np.asarray(decode(image.data), dtype=float)
    assert pixels.std() > 20
    later = read_frame(ROOT / "videos" / "chunk-000" / CAMERA / "episode_000004.mp4", 16.0)
    assert np.abs(np.asarray(decode(later.data), dtype=float) - pixels).mean() > 1


def test_its_states_have_the_length_that_its_list_states():
    info = read_info(ROOT)
    assert info.states["observation.state"][0] == 44
    path = ROOT / "data" / "chunk-000" / "episode_000004.parquet"
    table = read_columns(path, ["observation.state"])
    assert number_rows(table, "observation.state", path).shape == (328, 44)


def test_the_error_says_that_a_calibration_is_missing():
    with pytest.raises(UserError) as caught:
        list(read_records("lerobot", ROOT))
    assert "joint angles are not enough" in str(caught.value)
    assert f"{CAMERA} (256x256)" in str(caught.value)
    assert "observation.state: 44 numbers (motor_0, motor_1" in str(caught.value)


def test_the_existing_episode_is_read_and_the_missing_ones_are_reported(calibration):
    skipped = []
    options = {"calibration": calibration, "camera": "ego_view"}
    (sample,) = read_records("lerobot", ROOT, options=options, on_bad=skipped.append)
    assert sample.instruction == "pick the cupcake from the counter and place it in the plate"
    assert sample.image_size == (256, 256)
    assert 3 <= len(sample.target.points) <= 10
    assert sample.provenance["length"] == 328
    assert [(bad.place, bad.code) for bad in skipped] == [
        (f"episode {index}", ErrorCode.MISSING_FILE) for index in range(4)
    ]
