import json

import numpy as np
import pytest
from PIL import Image

from maniplvm.data.readers import roboafford
from maniplvm.data.record_errors import ErrorCode
from maniplvm.tasks import Task
from tests.data.conftest import encoded, the_bad_record, the_sample

SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]
TAIL = [[40, 5], [60, 5], [60, 15]]


def record(**changes):
    values = {
        "category": "object affordance",
        "question": "Which part of the kettle is held? Your answer should be formatted as a list.",
        "answer": [[20, 20], [25, 22]],
        "img": "1.png",
        "mask": "1.png",
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not ...}


@pytest.fixture
def source(tmp_path):
    """Write records in the layout of RoboAfford-Eval: images, masks and a list of records."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "1.png").write_bytes(encoded())
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "1.png")
    Image.fromarray(mask[:-1]).save(tmp_path / "masks" / "short.png")
    Image.fromarray(np.zeros_like(mask)).save(tmp_path / "masks" / "empty.png")

    def write(*values, name="annotations_absxy.json"):
        path = tmp_path / name
        path.write_text(json.dumps(list(values)))
        return path

    return write


def read_one(path):
    return the_sample(roboafford.read(path, None))


def test_the_mask_is_the_region_of_a_flat_list_of_points(source):
    sample = read_one(source(record()))
    assert (sample.task, sample.split, sample.category) == (
        Task.POINTING,
        "test",
        "object affordance",
    )
    assert sample.instruction == "Which part of the kettle is held?"
    assert sample.target.marks.tolist() == [[20, 20], [25, 22]]
    assert sample.target.bounds.tolist() == [10, 10, 30, 30]
    assert sample.target.contains([[20, 20], [31, 20]]).tolist() == [True, False]
    assert sample.id == "roboafford-pointing-annotations_absxy-0"


def test_polygons_without_a_mask_are_a_union(source):
    sample = read_one(source(record(answer=[SQUARE, TAIL], mask=None)))
    assert sample.target.contains([[20, 20], [58, 8], [35, 20]]).tolist() == [True, True, False]
    assert sample.target.mask is None


def test_the_mask_is_the_region_if_polygons_are_given_too(source):
    sample = read_one(source(record(answer=[SQUARE, TAIL])))
    assert sample.target.contains([[20, 20], [58, 8]]).tolist() == [True, False]
    assert sample.target.area_px == 400


def test_the_file_with_normalized_points_gives_the_same_target(source):
    shares = (np.array([SQUARE]) / [64, 48]).tolist()
    sample = read_one(source(record(answer=shares, mask=...), name="annotations_normxy.json"))
    assert sample.target.bounds == pytest.approx([10, 10, 30, 30])


def test_the_file_in_pixels_is_read_from_a_folder_with_both_files(source):
    source(record(answer=[[0.5, 0.5]]), name="annotations_normxy.json")
    folder = source(record()).parent
    (sample,) = roboafford.read(folder, None)
    assert sample.target.marks.tolist() == [[20, 20], [25, 22]]


def test_an_answer_may_be_text_and_a_name_may_repeat_its_folder(source):
    answer = json.dumps([SQUARE])
    sample = read_one(source(record(answer=answer, img="images/1.png", mask="masks/1.png")))
    assert sample.target.area_px == 400


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (record(mask=...), ErrorCode.MISSING_KEY, "needs a 'mask' for scoring"),
        (record(answer=...), ErrorCode.MISSING_KEY, "no 'answer'"),
        (record(answer=[], mask=...), ErrorCode.MISSING_KEY, "at least one polygon"),
        (record(answer="a, b"), ErrorCode.NOT_JSON, "'answer' is a string but not JSON"),
        (record(answer=[[0.5, 0.5]]), ErrorCode.NOT_PIXELS, "lies in 0..1"),
        (record(answer=[[1, 2, 3]]), ErrorCode.WRONG_TYPE, "needs 2 numbers x, y, got 3"),
        (record(answer=[[20, 90]]), ErrorCode.OUTSIDE_IMAGE, "reaches (20, 90)"),
        (record(answer=[SQUARE[:2]], mask=...), ErrorCode.TOO_FEW_POINTS, "at least 3 points"),
        (record(answer=[[[1, 1], [5, 5], [9, 9]]], mask=...), ErrorCode.EMPTY_BOX, "no area"),
        (
            record(mask="short.png"),
            ErrorCode.SIZE_MISMATCH,
            "mask is 64x47, but its image is 64x48",
        ),
        (record(mask="empty.png"), ErrorCode.BAD_VALUE, "has no set pixel"),
        (record(mask="gone.png"), ErrorCode.MISSING_IMAGE, "gone.png is not a file"),
        (record(img=...), ErrorCode.MISSING_KEY, "no 'img'"),
        (record(question=" "), ErrorCode.BAD_VALUE, "'question' is blank"),
    ],
)
def test_a_bad_record_is_reported_with_its_error_code(source, bad, code, words):
    path = source(record(), bad)
    result = the_bad_record(roboafford.read(path, None))
    assert result.code is code
    assert words in result.detail
    assert f"{path}, record 1" in str(result)
