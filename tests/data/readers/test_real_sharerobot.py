"""The published records of ShareRobot, if a copy is beside the repository."""

import json

import numpy as np
import pytest
from PIL import Image

from maniplvm.data import contact_sheet, draw_answer, import_dataset, open_dataset, read_records
from maniplvm.errors import UserError
from tests.data.conftest import REAL

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real records are not at hand")


@pytest.fixture
def samples(tmp_path):
    report = import_dataset("sharerobot", REAL, tmp_path / "set", skip_bad=True)
    assert report.written == 2
    return {sample.task.value: sample for sample in open_dataset(tmp_path / "set").samples()}


def annotated(task):
    """The pixels `(N, 2)` x, y where a published render differs from its clean image."""
    key = "affordance" if task == "affordance" else "points"
    pairs = json.loads((REAL / "pairs.json").read_text())
    (pair,) = [pair for pair in pairs if key in pair["record"]]
    clean, drawn = (
        np.asarray(Image.open(REAL / pair[name]).convert("RGB")).astype(int)
        for name in ("image", "annotated_image")
    )
    return np.argwhere(np.abs(clean - drawn).max(axis=2) > 60)[:, ::-1], clean


def test_the_record_without_an_image_is_rejected_by_name():
    with pytest.raises(UserError, match=r"trajectory.json, record 1 \(id 3467\): missing image"):
        list(read_records("sharerobot", REAL))
    with pytest.raises(UserError, match=r"49_bridge#episode_9826/frame_15.png"):
        list(read_records("sharerobot", REAL / "trajectory.json", images=REAL / "images"))


def test_both_usable_records_are_imported(samples):
    box, trace = samples["affordance"], samples["trajectory"]
    assert box.id == "sharerobot-affordance-2486"
    assert box.instruction == "place the red fork to the left of the left burner"
    assert box.target.xyxy == pytest.approx([352.8743, 186.4787, 372.1703, 200.9507], abs=1e-3)
    assert trace.id == "sharerobot-trajectory-456"
    assert trace.target.points[[0, -1]] == pytest.approx(
        np.array([[265.4545, 120], [280, 259.3939]]), abs=1e-3
    )
    assert {sample.image_size for sample in samples.values()} == {(640, 480)}


def test_the_box_lies_where_the_published_render_shows_it(samples):
    changed, clean = annotated("affordance")
    corners = np.concatenate([changed.min(axis=0), changed.max(axis=0) + 1])
    assert samples["affordance"].target.xyxy == pytest.approx(corners, abs=2)
    ours = np.asarray(draw_answer(Image.fromarray(clean.astype(np.uint8)), corners, zoom=False))
    drawn = np.argwhere(np.abs(ours.astype(int) - clean).max(axis=2) > 60)[:, ::-1]
    assert np.abs(drawn.min(axis=0) - changed.min(axis=0)).max() <= 6


def test_the_path_lies_where_the_published_render_shows_it(samples):
    changed, _ = annotated("trajectory")
    points = samples["trajectory"].target.points
    steps = np.linspace(0, 1, 200)[:, None, None]
    path = (points[:-1] * (1 - steps) + points[1:] * steps).reshape(-1, 2)
    gaps = np.hypot(*(changed[:, None] - path[None]).transpose(2, 0, 1))
    assert gaps.min(axis=1).max() < 4, "every pixel they drew lies on our path"
    assert gaps.min(axis=0).max() < 4, "our path lies on pixels that they drew"


def test_the_contact_sheet_shows_both(samples):
    sheet = contact_sheet(list(samples.values()), columns=2)
    assert sheet.width == 16 + 2 * 336
