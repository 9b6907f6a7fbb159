import sys
from pathlib import Path

import pytest

import maniplvm
from maniplvm.data import read_records
from maniplvm.data.readers import sharerobot
from maniplvm.data.record_errors import ErrorCode
from maniplvm.errors import UserError
from maniplvm.tasks.sample import BoxTarget, Task, TraceTarget
from tests.data.conftest import the_bad_record, the_sample

META = {"original_dataset": "bridge", "original_width": 64, "original_height": 48}


def affordance(**changes):
    record = {
        "id": 2486,
        "meta_data": META,
        "instruction": " place the fork ",
        "affordance": {"x": 10.5, "y": 20, "width": 19, "height": 14.5},
        "image_path": "1.png",
    }
    return {k: v for k, v in {**record, **changes}.items() if v is not ...}


def trajectory(**changes):
    points = [[1.5, 2], [30, 40], [50, 7]]
    return affordance(**{"affordance": ..., "trajectory": points, **changes})


def read_one(path):
    return the_sample(sharerobot.read(path, None))


def test_a_box_is_read_from_its_top_left_corner_and_its_size(records):
    sample = read_one(records(affordance(), name="affordance.json"))
    assert sample.target == BoxTarget([10.5, 20, 29.5, 34.5])
    assert sample.task is Task.AFFORDANCE
    assert sample.id == "sharerobot-affordance-2486"
    assert sample.instruction == "place the fork"
    assert sample.image_size == (64, 48)
    assert sample.split == "train"
    assert sample.category == "bridge"
    assert sample.provenance == {
        "format": "sharerobot",
        "file": "affordance.json",
        "place": "record 0",
        "source_id": "2486",
        "image": "1.png",
        "original_dataset": "bridge",
    }


def test_a_box_may_be_a_list_of_corners(records):
    sample = read_one(records(affordance(affordance=[10, 20, 30, 40])))
    assert sample.target == BoxTarget([10, 20, 30, 40])


@pytest.mark.parametrize("key", ["trajectory", "points"])
def test_both_spellings_of_a_trajectory_are_read(records, key):
    record = affordance(**{"affordance": ..., key: [[1, 2], [30, 40]]})
    sample = read_one(records(record))
    assert sample.target == TraceTarget([[1, 2], [30, 40]])
    assert sample.id == "sharerobot-trajectory-2486"


def test_meta_data_may_be_missing(records):
    assert read_one(records(affordance(meta_data=...))).category is None
    assert read_one(records(affordance(meta_data={"original_dataset": 3}))).category is None


@pytest.mark.parametrize(
    ("record", "code", "words"),
    [
        (affordance(affordance=...), ErrorCode.MISSING_KEY, "no 'affordance' or 'points' or 'traj"),
        (affordance(affordance=...), ErrorCode.MISSING_KEY, "found 'id', 'meta_data', 'instruc"),
        (affordance(affordance=None), ErrorCode.MISSING_KEY, "no 'affordance'"),
        (affordance(instruction=...), ErrorCode.MISSING_KEY, "no 'instruction'"),
        (
            affordance(instruction=7),
            ErrorCode.WRONG_TYPE,
            "'instruction' needs a string, got int 7",
        ),
        (affordance(instruction="  "), ErrorCode.BAD_VALUE, "'instruction' is blank"),
        (affordance(instruction="\ud800"), ErrorCode.BAD_VALUE, "invalid Unicode"),
        (affordance(image_path=...), ErrorCode.MISSING_KEY, "no 'image_path'"),
        (affordance(image_path=["1.png"]), ErrorCode.WRONG_TYPE, "'image_path' needs a string"),
        (affordance(image_path="gone.png"), ErrorCode.MISSING_IMAGE, "gone.png is not a file"),
        (affordance(image_path="../1.png"), ErrorCode.ESCAPING_PATH, "'../1.png'"),
        (affordance(meta_data=[1]), ErrorCode.WRONG_TYPE, "'meta_data' needs an object, got list"),
        (
            affordance(meta_data={**META, "original_width": 640}),
            ErrorCode.SIZE_MISMATCH,
            "1.png has a width of 64 px, but the record states 640",
        ),
        (
            affordance(meta_data={**META, "original_height": "48"}),
            ErrorCode.WRONG_TYPE,
            "the stated height needs numbers, got str '48'",
        ),
        (affordance(id=[1]), ErrorCode.WRONG_TYPE, "'id' needs a string, got list [1]"),
        (affordance(id=True), ErrorCode.WRONG_TYPE, "'id' needs a string, got bool True"),
        (
            affordance(affordance={"x": 1, "y": 2, "w": 3}),
            ErrorCode.MISSING_KEY,
            "'affordance' has no 'width' or 'height'; found 'x', 'y', 'w'",
        ),
        (affordance(affordance={}), ErrorCode.MISSING_KEY, "found nothing"),
        (
            affordance(affordance={"x": 1, "y": 2, "width": "3", "height": 4}),
            ErrorCode.WRONG_TYPE,
            "'affordance' needs numbers, got str '3'",
        ),
        (
            affordance(affordance={"x": 1, "y": 2, "width": 0, "height": 4}),
            ErrorCode.EMPTY_BOX,
            "0 x 4 px",
        ),
        (
            trajectory(trajectory=[[1, 2]]),
            ErrorCode.TOO_FEW_POINTS,
            "'trajectory' needs at least 2",
        ),
        (
            trajectory(points=[[1, 2], [3, 4]]),
            ErrorCode.BAD_VALUE,
            "both 'points' and 'trajectory'",
        ),
    ],
)
def test_a_bad_record_is_reported_with_its_file_place_id_and_error_code(
    records, record, code, words
):
    path = records(affordance(id="fine"), record)
    bad = the_bad_record(sharerobot.read(path, None))
    assert bad.code is code
    assert words in bad.detail
    assert str(bad).startswith(f"{path}, record 1")
    if record["id"] == 2486:
        assert "(id 2486)" in str(bad)


def test_the_published_layout_is_read_as_one_folder(records, tmp_path):
    records(affordance(), name="affordance/affordance.json")
    records(trajectory(), name="trajectory/test_trajectory.json")
    records({"unrelated": 1}, name="pairs.json")
    for task in ("affordance", "trajectory"):
        (tmp_path / task / "images").mkdir()
        (tmp_path / task / "images" / "1.png").write_bytes(
            (tmp_path / "images" / "1.png").read_bytes()
        )
    samples = list(read_records("sharerobot", tmp_path))
    assert [sample.id for sample in samples] == [
        "sharerobot-affordance-2486",
        "sharerobot-trajectory-2486",
    ]
    assert samples[1].provenance["file"] == "trajectory/test_trajectory.json"


def test_records_without_an_id_get_an_id_from_their_place(records, tmp_path):
    path = records(affordance(id=...), affordance(id=...), name="part/affordance.json")
    images = tmp_path / "images"
    assert [s.id for s in read_records("sharerobot", tmp_path, images=images)] == [
        "sharerobot-affordance-part-affordance-0",
        "sharerobot-affordance-part-affordance-1",
    ]
    assert [s.id for s in read_records("sharerobot", path, images=images)] == [
        "sharerobot-affordance-affordance-0",
        "sharerobot-affordance-affordance-1",
    ]


def test_an_id_used_twice_names_both_places(records):
    path = records(affordance(), affordance())
    with pytest.raises(
        UserError, match=r"record 1 .*duplicate id: .* already the id of records.json, record 0"
    ):
        list(read_records("sharerobot", path))


@pytest.mark.parametrize("record", [affordance(), trajectory()])
def test_one_record_becomes_a_sample_in_at_most_five_files(records, record):
    path, package, files = records(record), Path(maniplvm.__file__).parent, set()

    def note(frame, event, _):
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(package):
            files.add(file.relative_to(package).as_posix())

    sys.setprofile(note)
    try:
        read_one(path)
    finally:
        sys.setprofile(None)
    assert files - {"data/readers/_json_stream.py"} == {  # it turns the text into the record
        "data/readers/sharerobot.py",
        "data/readers/_json.py",
        "data/images.py",
        "data/validation.py",
        "tasks/sample.py",
    }
