import json

import numpy as np
import pytest

from maniplvm.data import ErrorCode, import_dataset, open_dataset
from maniplvm.data.readers import rlds
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Task
from tests.data.conftest import encoded, encoded_pixels, the_bad_record, the_sample
from tests.data.readers.robot_data import (
    CORNERS,
    SIZE,
    Recorded,
    example,
    feature,
    framed,
    rlds_features,
    rlds_schema,
    walk,
    write_calibration,
    write_rlds,
)

FIRST = Recorded(walk(), "put the cup on the shelf", 20)
SECOND = Recorded(walk(CORNERS[::-1]), "take the cup", 60)


@pytest.fixture
def calibration(tmp_path):
    return write_calibration(tmp_path / "c.yaml", position={"indices": [0, 1, 2]})


@pytest.fixture
def one_record(tmp_path, calibration):
    """Read a data set of one episode whose features are changed."""

    def read(**changes):
        write_rlds(tmp_path / "set", [rlds_features(FIRST, **changes)])
        return rlds.read(tmp_path / "set", None, calibration)

    return read


def test_the_trace_equals_the_known_pixels(tmp_path, calibration):
    root = tmp_path / "kitchen" / "1.0.0"
    write_rlds(root, [rlds_features(FIRST), rlds_features(SECOND)], split="val")
    first, second = rlds.read(root, None, calibration)
    np.testing.assert_allclose(first.target.points, CORNERS, atol=1e-4)
    np.testing.assert_allclose(second.target.points, CORNERS[::-1], atol=1e-4)
    assert first.image == encoded(SIZE, seed=20)
    assert second.image == encoded(SIZE, seed=60)
    assert (first.instruction, second.instruction) == (FIRST.task, SECOND.task)
    assert first.task is Task.TRAJECTORY
    assert (first.split, first.category) == ("val", "kitchen")
    assert second.id == "rlds-kitchen-val-00000-of-00001-1"
    assert second.provenance == {
        "format": "rlds",
        "file": "kitchen-val.tfrecord-00000-of-00001",
        "place": "record 1",
        "camera": "observation/image_0",
        "frames": [0, 6, 12, 18],
        "length": 19,
    }


def test_one_file_can_be_read_alone(tmp_path, calibration):
    shard = write_rlds(tmp_path / "set", [rlds_features(FIRST)])
    assert the_sample(rlds.read(shard, None, calibration)).instruction == FIRST.task


def test_the_instruction_may_belong_to_the_episode_or_to_an_observation(tmp_path, calibration):
    text = {"text": {}}
    schema = rlds_schema(natural_language_instruction={"tensor": {"shape": {}, "dtype": "string"}})
    steps = schema["featuresDict"]["features"]["steps"]["sequence"]["feature"]
    del steps["featuresDict"]["features"]["language_instruction"]
    record = rlds_features(
        FIRST,
        **{
            "steps/language_instruction": ...,
            "steps/observation/natural_language_instruction": [b"wipe", b"wipe"],
        },
    )
    write_rlds(tmp_path / "set", [record], schema)
    assert the_sample(rlds.read(tmp_path / "set", None, calibration)).instruction == "wipe"
    del steps["featuresDict"]["features"]["observation"]["featuresDict"]["features"][
        "natural_language_instruction"
    ]
    schema["featuresDict"]["features"]["comment"] = text
    write_rlds(tmp_path / "set", [record], schema)
    with pytest.raises(
        UserError, match=r"no text feature named language_inst.*; the text features are comment"
    ):
        list(rlds.read(tmp_path / "set", None, calibration))
    schema["featuresDict"]["features"]["language_instruction"] = text
    write_rlds(tmp_path / "set", [{**record, "language_instruction": [b"stack"]}], schema)
    assert the_sample(rlds.read(tmp_path / "set", None, calibration)).instruction == "stack"


def test_bad_episodes_can_be_skipped(tmp_path, calibration):
    lost = FIRST.path.copy()
    lost[3, 1] = np.nan
    records = [
        rlds_features(Recorded(lost)),
        rlds_features(Recorded(walk(CORNERS * [1, 2]))),
        rlds_features(Recorded(walk()[:1])),
        framed(example(rlds_features(FIRST)))[:-1] + b"\0",
        framed(b"\x0a\xff"),
        rlds_features(SECOND),
    ]
    write_rlds(tmp_path / "set", records)
    options = {"calibration": calibration}
    with pytest.raises(UserError, match=r"00000-of-00001, record 0: number not finite"):
        import_dataset("rlds", tmp_path / "set", tmp_path / "out", options=options)
    report = import_dataset(
        "rlds", tmp_path / "set", tmp_path / "out", options=options, skip_bad=True
    )
    assert report.written == 1
    assert [(bad.place, bad.code) for bad in report.skipped] == [
        ("record 0", ErrorCode.NOT_FINITE),
        ("record 1", ErrorCode.OUTSIDE_IMAGE),
        ("record 2", ErrorCode.TOO_FEW_POINTS),
        ("record 3", ErrorCode.DAMAGED_FILE),
        ("record 4", ErrorCode.DAMAGED_FILE),
    ]
    assert "has a wrong checksum" in report.skipped[3].detail
    assert "not a tf.train.Example" in report.skipped[4].detail
    (sample,) = open_dataset(tmp_path / "out").samples()
    assert sample.instruction == "take the cup"


def test_a_truncated_file_is_named_with_its_byte(tmp_path, calibration):
    shard = write_rlds(tmp_path / "set", [rlds_features(FIRST), rlds_features(SECOND)])
    whole = shard.read_bytes()
    second = len(framed(example(rlds_features(FIRST))))
    shard.write_bytes(whole[:-10])
    bad = the_bad_record(rlds.read(tmp_path / "set", None, calibration))
    assert bad.code is ErrorCode.DAMAGED_FILE
    assert f"{shard} is truncated: the record at byte {second} is" in bad.detail
    assert f"but the file ends at byte {len(whole) - 10}" in bad.detail
    shard.write_bytes(whole[:second])
    bad = the_bad_record(rlds.read(tmp_path / "set", None, calibration))
    assert str(bad) == (
        f"{shard}, record 1: damaged file: the file ends after 1 of 2 records; download it again"
    )


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"steps/observation/state": ...},
            ErrorCode.MISSING_KEY,
            "no 'steps/observation/state'; found",
        ),
        (
            {"steps/observation/image_0": ...},
            ErrorCode.MISSING_KEY,
            "no 'steps/observation/image_0'",
        ),
        (
            {"steps/observation/state": [1.0] * 13},
            ErrorCode.DAMAGED_FILE,
            "13 numbers, which is not a multiple of 7",
        ),
        (
            {"steps/observation/state": [1.0] * 14},
            ErrorCode.DAMAGED_FILE,
            "19 images of 'observation",
        ),
        (
            {"steps/observation/state": [1, 2]},
            ErrorCode.WRONG_TYPE,
            "needs floats, but holds integers",
        ),
        (
            {"steps/observation/image_0": [1.0]},
            ErrorCode.WRONG_TYPE,
            "needs byte strings, but holds flo",
        ),
        (
            {"steps/observation/image_0": [], "steps/observation/state": [0.0] * 0},
            ErrorCode.TOO_FEW_POINTS,
            "the episode has no step",
        ),
        (
            {"steps/observation/image_0": [b"no image"] * 19},
            ErrorCode.UNREADABLE_IMAGE,
            "the first image of 'observation/image_0' is damaged",
        ),
        (
            {"steps/observation/image_0": [encoded_pixels(np.zeros((48, 64, 3), np.uint8))] * 19},
            ErrorCode.MISSING_IMAGE,
            "the first image of 'observation/image_0' is black",
        ),
        ({"steps/language_instruction": [b" "]}, ErrorCode.BAD_VALUE, "is blank"),
        ({"steps/language_instruction": [b"\xff"]}, ErrorCode.BAD_VALUE, "is not UTF-8"),
        ({"steps/language_instruction": []}, ErrorCode.WRONG_TYPE, "needs a string, got NoneType"),
    ],
)
def test_an_episode_that_does_not_fit_the_schema_is_refused(one_record, changes, code, words):
    bad = the_bad_record(one_record(**changes))
    assert bad.code is code
    assert words in bad.detail


@pytest.mark.parametrize("flag", [..., [0], [1]])
def test_the_image_and_not_bridges_flag_decides_whether_there_is_a_camera(one_record, flag):
    assert the_sample(one_record(**{"episode_metadata/has_image_0": flag})).image_size == SIZE


def test_an_image_with_one_pixel_that_is_not_black_exists(one_record):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[20, 30, 2] = 1
    images = {"steps/observation/image_0": [encoded_pixels(pixels)] * 19}
    assert the_sample(one_record(**images)).image_size == SIZE


def test_without_a_calibration_the_error_lists_what_is_missing_and_how_to_give_it(tmp_path):
    write_rlds(tmp_path / "set", [rlds_features(FIRST)])
    with pytest.raises(UserError) as caught:
        list(rlds.read(tmp_path / "set", None))
    for words in (
        "give --calibration FILE",
        "Cameras: observation/image_0 (64x48)",
        "States: observation/state: 7 numbers",
    ):
        assert words in str(caught.value)


def test_depth_maps_are_not_cameras(tmp_path, calibration):
    wrist = {"image": {"shape": {"dimensions": ["-1", "-1", "3"]}, "dtype": "uint8"}}
    depth = {"image": {"shape": {"dimensions": ["48", "64", "1"]}, "dtype": "float32"}}
    schema = rlds_schema(wrist_image=wrist, depth_0=depth)
    write_rlds(tmp_path / "set", [rlds_features(FIRST)], schema)
    with pytest.raises(UserError, match="the data set has observation/image_0, observation/wrist"):
        list(rlds.read(tmp_path / "set", None, calibration))
    assert the_sample(rlds.read(tmp_path / "set", None, calibration, "image_0")).image_size == SIZE
    with pytest.raises(UserError, match=r"observation/wrist_image \(size unknown\)"):
        list(rlds.read(tmp_path / "set", None))


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ({"names": ["x", "y", "z"]}, "the 7 numbers of 'observation/state' have no names"),
        (
            {"column": "pose", "indices": [0, 1, 2]},
            "no state 'pose'; it has observ",
        ),
    ],
)
def test_a_position_that_the_data_set_does_not_have_is_refused(position, words, tmp_path):
    write_rlds(tmp_path / "set", [rlds_features(FIRST)])
    calibration = write_calibration(tmp_path / "c.yaml", position=position)
    with pytest.raises(UserError, match=words):
        list(rlds.read(tmp_path / "set", None, calibration))


def test_the_folder_must_be_the_one_with_the_features(tmp_path, calibration):
    write_rlds(tmp_path / "kitchen" / "1.0.0", [rlds_features(FIRST)])
    with pytest.raises(UserError, match=r"holds no features.json; give one of .*1\.0\.0"):
        list(rlds.read(tmp_path, None, calibration))
    with pytest.raises(UserError, match="no such file or folder"):
        list(rlds.read(tmp_path / "gone" / "x", None, calibration))
    with pytest.raises(UserError, match="leave --images out"):
        list(rlds.read(tmp_path, tmp_path, calibration))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("features.json", "{", "not JSON"),
        ("features.json", "[]", "expected an object"),
        ("features.json", '{"featuresDict": 3}', "not the features of a TFDS data set"),
        ("features.json", json.dumps({"image": {}}), "no 'steps', so this is not an RLDS data set"),
        ("dataset_info.json", '{"splits": [3]}', "'splits' is not TFDS's list"),
    ],
)
def test_an_invalid_description_file_is_named(name, content, words, tmp_path, calibration):
    write_rlds(tmp_path / "set", [rlds_features(FIRST)])
    (tmp_path / "set" / name).write_text(content)
    with pytest.raises(UserError) as caught:
        list(rlds.read(tmp_path / "set", None, calibration))
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_the_error_of_a_folder_without_records_lists_its_files(tmp_path, calibration):
    shard = write_rlds(tmp_path / "set", [rlds_features(FIRST)])
    shard.rename(shard.with_name("kitchen-train.array_record-00000-of-00001"))
    with pytest.raises(UserError, match=r"holds no .tfrecord file \(found: dataset_info.json"):
        list(rlds.read(tmp_path / "set", None, calibration))


def test_numbers_that_are_not_packed_are_read_too(tmp_path, calibration):
    features = rlds_features(FIRST)
    packed = feature(features["steps/observation/state"])
    loose = feature(features["steps/observation/state"], packed=False)
    assert len(loose) > len(packed)
    from maniplvm.data.readers.rlds.tf_example import floats

    np.testing.assert_array_equal(floats(memoryview(loose), "x"), floats(memoryview(packed), "x"))
