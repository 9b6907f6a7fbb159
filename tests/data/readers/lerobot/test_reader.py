import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from maniplvm.cli.data import app
from maniplvm.data import ErrorCode, import_dataset, open_dataset, read_records
from maniplvm.data.images import decode
from maniplvm.data.readers import lerobot
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Task
from tests.data.conftest import encoded, the_bad_record, the_sample
from tests.data.readers.robot_data import (
    CAMERA,
    CORNERS,
    DEPTHS,
    SIZE,
    Recorded,
    camera_from_base,
    walk,
    write_calibration,
    write_lerobot_v2,
    write_lerobot_v3,
    write_lines,
    write_parquet,
)

EPISODES = (
    Recorded(walk(), "put the cup on the shelf", 20),
    Recorded(walk(CORNERS[::-1]), "take the cup", 60),
    Recorded(walk(CORNERS[:3], DEPTHS[:3], steps=4), "put the cup on the shelf", 140),
)
WRITERS = {"v2.1": write_lerobot_v2, "v3.0": write_lerobot_v3}
DATA = {"v2.1": "data/chunk-000/episode_000000.parquet", "v3.0": "data/chunk-000/file-000.parquet"}


@pytest.fixture
def calibration(tmp_path):
    return write_calibration(tmp_path / "front.yaml")


def read_all(root, calibration, **options):
    return list(lerobot.read(root, None, calibration, **options))


def write_and_read(version, tmp_path, episodes, calibration, **changes):
    return read_all(WRITERS[version](tmp_path / "set", episodes, **changes), calibration)


@pytest.mark.parametrize("version", WRITERS)
@pytest.mark.parametrize("kind", ["video", "image"])
def test_the_trace_equals_the_known_pixels(version, kind, tmp_path, calibration):
    samples = write_and_read(version, tmp_path, EPISODES, calibration, kind=kind)
    traces = [sample.target.points for sample in samples]
    for trace, corners in zip(traces, (CORNERS, CORNERS[::-1], CORNERS[:3]), strict=True):
        np.testing.assert_allclose(trace, corners, atol=1e-4)
    assert [sample.instruction for sample in samples] == [one.task for one in EPISODES]
    assert [sample.split for sample in samples] == ["train", "train", "val"]
    assert {sample.task for sample in samples} == {Task.TRAJECTORY}
    assert {sample.image_size for sample in samples} == {SIZE}


@pytest.mark.parametrize("version", WRITERS)
def test_the_image_is_the_first_frame_of_the_same_episode(version, tmp_path, calibration):
    samples = write_and_read(version, tmp_path, EPISODES, calibration)
    for sample, one in zip(samples, EPISODES, strict=True):
        assert np.abs(np.asarray(decode(sample.image)).mean() - one.grey) < 1.6


@pytest.mark.parametrize("version", WRITERS)
def test_images_inside_the_table_are_kept_byte_for_byte(version, tmp_path, calibration):
    samples = write_and_read(version, tmp_path, EPISODES, calibration, kind="image")
    assert [sample.image for sample in samples] == [encoded(SIZE, seed=i) for i in range(3)]


@pytest.mark.parametrize("version", WRITERS)
def test_the_provenance_of_a_sample_names_its_origin(version, tmp_path, calibration):
    sample = write_and_read(version, tmp_path, EPISODES[:1], calibration)[0]
    assert sample.id == "lerobot-episode-000000"
    assert sample.category == "arm7"
    assert sample.provenance == {
        "format": "lerobot",
        "file": DATA[version],
        "place": "episode 0",
        "camera": CAMERA,
        "frames": [0, 6, 12, 18],
        "length": 19,
    }


@pytest.mark.parametrize("version", WRITERS)
def test_bad_episodes_can_be_skipped(version, tmp_path, calibration):
    lost = EPISODES[0].path.copy()
    lost[3, 1] = np.nan
    away = walk(CORNERS * [1, 2])
    behind = EPISODES[0].path + 5 * np.array([1.0, -1, 1])
    episodes = [
        *(Recorded(path) for path in (lost, away, behind, walk()[:1], np.tile(walk()[:1], (9, 1)))),
        EPISODES[1],
    ]
    root = WRITERS[version](tmp_path / "set", episodes)
    report = import_dataset(
        "lerobot", root, tmp_path / "out", options={"calibration": calibration}, skip_bad=True
    )
    assert report.written == 1
    assert [(bad.place, bad.code) for bad in report.skipped] == [
        ("episode 0", ErrorCode.NOT_FINITE),
        ("episode 1", ErrorCode.OUTSIDE_IMAGE),
        ("episode 2", ErrorCode.OUTSIDE_IMAGE),
        ("episode 3", ErrorCode.TOO_FEW_POINTS),
        ("episode 4", ErrorCode.BAD_VALUE),
    ]
    details = [bad.detail for bad in report.skipped]
    assert "position at frame 3 is [" in details[0]
    assert "nan" in details[0]
    assert "px of an image of 64x48 px" in details[1]
    assert "check the frames and units in" in details[1]
    assert "behind the camera" in details[2]
    assert details[3] == "1 frame; a path needs at least 3"
    assert "moves less than 1 px" in details[4]
    assert [sample.instruction for sample in open_dataset(tmp_path / "out").samples()] == [
        "take the cup"
    ]


def test_episodes_are_read_one_by_one(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES)
    (root / "data/chunk-000/episode_000001.parquet").write_bytes(b"PAR1 nonsense")
    stream = read_records("lerobot", root, options={"calibration": calibration})
    assert next(stream).instruction == "put the cup on the shelf"
    with pytest.raises(UserError, match=r"episode_000001.parquet, episode 1: damaged file"):
        next(stream)


def test_without_a_calibration_the_error_lists_what_is_missing_and_how_to_give_it(tmp_path):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    with pytest.raises(UserError) as caught:
        list(lerobot.read(root, None))
    for words in (
        "give --calibration FILE",
        "'intrinsics', 'extrinsics' and 'image_size'",
        "'position'",
        "docs/datasets.md",
        f"Cameras: {CAMERA} (64x48)",
        "States: observation.state: 7 numbers (x, y, z, roll, pitch, yaw, gripper)",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("version", WRITERS)
def test_a_damaged_table_is_named(version, tmp_path, calibration):
    root = WRITERS[version](tmp_path / "set", EPISODES[:1])
    path = root / DATA[version]
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no parquet at all"):
        path.write_bytes(content)
        bad = the_bad_record(lerobot.read(root, None, calibration))
        assert bad.code is ErrorCode.DAMAGED_FILE
        assert f"{path} is damaged or not a Parquet file" in bad.detail
    path.unlink()
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.code is ErrorCode.MISSING_FILE
    assert str(bad).startswith(f"{path}, episode 0: missing file")


@pytest.mark.parametrize("version", WRITERS)
def test_a_missing_column_is_named(version, tmp_path, calibration):
    root = WRITERS[version](tmp_path / "set", EPISODES[:1])
    path = root / DATA[version]
    write_parquet(path, pq.read_table(path).drop_columns(["observation.state"]))
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.code is ErrorCode.MISSING_KEY
    assert f"{path} has no column 'observation.state'; it has timestamp, frame_index" in bad.detail


def test_states_that_are_not_numbers_are_refused(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / DATA["v2.1"]
    table = pq.read_table(path)
    place = table.schema.get_field_index("observation.state")
    values = {
        "texts": [["a"] * 7] * len(table),
        "ragged": [[1.0] * (7 - i % 2) for i in range(len(table))],
        "null": [None, *([[1.0] * 7] * (len(table) - 1))],
    }
    for content in values.values():
        column = pa.array(content)
        write_parquet(path, table.set_column(place, "observation.state", column))
        bad = the_bad_record(lerobot.read(root, None, calibration))
        assert bad.code is ErrorCode.WRONG_TYPE
        assert "needs numbers, or lists of numbers of the same length" in bad.detail
    short = pa.array([[1.0, 2.0]] * len(table))
    write_parquet(path, table.set_column(place, "observation.state", short))
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert "has 2 numbers per frame, so no index 2" in bad.detail


def test_a_null_number_is_not_finite(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / DATA["v2.1"]
    table = pq.read_table(path)
    states = table["observation.state"].to_pylist()
    states[2][0] = None
    place = table.schema.get_field_index("observation.state")
    write_parquet(path, table.set_column(place, "observation.state", pa.array(states)))
    assert the_bad_record(lerobot.read(root, None, calibration)).code is ErrorCode.NOT_FINITE


@pytest.mark.parametrize("version", WRITERS)
def test_a_table_that_lacks_frames_is_damaged(version, tmp_path, calibration):
    root = WRITERS[version](tmp_path / "set", EPISODES[:1])
    path = root / DATA[version]
    write_parquet(path, pq.read_table(path).slice(0, 12))
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.code is ErrorCode.DAMAGED_FILE
    assert "holds 12 frames of this episode, but the list of episodes states 19" in bad.detail


@pytest.mark.parametrize("version", WRITERS)
def test_a_broken_video_is_named(version, tmp_path, calibration):
    root = WRITERS[version](tmp_path / "set", EPISODES[:1])
    (video,) = root.rglob("*.mp4")
    video.write_bytes(video.read_bytes()[:200])
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.code is ErrorCode.UNREADABLE_VIDEO
    assert str(video) in bad.detail
    video.unlink()
    assert the_bad_record(lerobot.read(root, None, calibration)).code is ErrorCode.MISSING_FILE


def test_an_episode_beyond_the_end_of_its_video_is_refused(tmp_path, calibration):
    root = write_lerobot_v3(tmp_path / "set", EPISODES[:2])
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[1][f"videos/{CAMERA}/from_timestamp"] = 60.0
    write_parquet(path, pa.Table.from_pylist(rows))
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.place == "episode 1"
    assert "no frame at 60.000 s; the nearest frame is at" in bad.detail


def test_rows_without_an_index_are_refused_one_by_one(tmp_path, calibration):
    root = write_lerobot_v3(tmp_path / "set", EPISODES[:2])
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["data/file_index"] = None
    write_parquet(path, pa.Table.from_pylist(rows))
    first, second = lerobot.read(root, None, calibration)
    assert str(first).startswith(f"{path}, episode 0: bad value: 'data/file_index' needs a number")
    assert second.instruction == "take the cup"
    path.write_bytes(b"PAR1")
    assert the_bad_record(lerobot.read(root, None, calibration)).code is ErrorCode.DAMAGED_FILE
    path.unlink()
    with pytest.raises(UserError, match="holds no meta/episodes"):
        read_all(root, calibration)


def test_bad_lines_of_the_episode_list_are_refused_one_by_one(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "episodes.jsonl"
    good = path.read_text()
    path.write_text('not json\n{"episode_index": "0"}\n{"episode_index": true}\n' + good)
    *bad, sample = lerobot.read(root, None, calibration)
    assert [one.code for one in bad] == [
        ErrorCode.NOT_JSON,
        ErrorCode.WRONG_TYPE,
        ErrorCode.WRONG_TYPE,
    ]
    assert [one.place for one in bad] == ["line 1", "line 2", "line 3"]
    assert sample.instruction == "put the cup on the shelf"


def test_the_task_is_that_of_the_first_frame(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    tasks = [{"task_index": 0, "task": " grasp the mug "}, {"task_index": 1, "task": "valid"}]
    write_lines(root / "meta" / "tasks.jsonl", tasks)
    write_lines(root / "meta" / "episodes.jsonl", [{"episode_index": 0, "tasks": ["valid", "x"]}])
    assert the_sample(lerobot.read(root, None, calibration)).instruction == "grasp the mug"
    path = root / DATA["v2.1"]
    write_parquet(path, pq.read_table(path).drop_columns(["task_index"]))
    assert the_sample(lerobot.read(root, None, calibration)).instruction == "valid"


def test_an_episode_without_a_task_is_refused(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    write_lines(root / "meta" / "tasks.jsonl", [{"task_index": 7, "task": "x"}])
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.detail == "meta/tasks has no 'task_index' 0"
    write_lines(root / "meta" / "tasks.jsonl", [{"task_index": 0, "task": " "}])
    assert the_bad_record(lerobot.read(root, None, calibration)).detail == "task 0 is blank"
    (root / "meta" / "tasks.jsonl").write_text("nonsense\n")
    with pytest.raises(UserError, match=r"tasks.jsonl, line 1"):
        read_all(root, calibration)


@pytest.mark.parametrize("name", ["task", "__index_level_0__"])
def test_tasks_of_version_3_are_a_column_or_an_index(name, tmp_path, calibration):
    root = write_lerobot_v3(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "tasks.parquet"
    write_parquet(path, pa.table({"task_index": [0], name: ["water the plant"]}))
    assert the_sample(lerobot.read(root, None, calibration)).instruction == "water the plant"
    write_parquet(path, pa.table({"task_index": [0], "words": ["x"]}))
    with pytest.raises(UserError, match=r"no column 'task'; it has task_index, words"):
        read_all(root, calibration)


def test_the_camera_is_selected_by_its_key_or_the_end_of_its_key(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "info.json"
    content = json.loads(path.read_text())
    feature = content["features"][CAMERA]
    content["features"]["observation.images.wrist"] = feature
    content["features"]["observation.images.depth"] = {
        **feature,
        "video_info": {"video.is_depth_map": True},
    }
    path.write_text(json.dumps(content))
    with pytest.raises(
        UserError,
        match=r"no camera is selected; give --camera KEY.*images.front, observation.images.wrist$",
    ):
        read_all(root, calibration)
    for key in (CAMERA, "front", "images.front"):
        assert the_sample(lerobot.read(root, None, calibration, key)).provenance["camera"] == CAMERA
    with pytest.raises(UserError, match="unknown camera 'top'; the data set has observation"):
        read_all(root, calibration, camera="top")
    wrist = write_calibration(tmp_path / "wrist.json", camera="wrist")
    with pytest.raises(UserError, match=r"--camera front is not the camera of .*wrist.json"):
        read_all(root, wrist, camera="front")
    front = write_calibration(tmp_path / "named.yaml", camera="front")
    assert the_sample(lerobot.read(root, None, front)).provenance["camera"] == CAMERA


DEPTH_MAPS = {
    "flag in info": {"shape": [48, 64, 3], "info": {"video.is_depth_map": True}},
    "flag in video_info": {"shape": [48, 64, 3], "video_info": {"video.is_depth_map": True}},
    "flag without prefix": {"shape": [48, 64, 3], "info": {"is_depth_map": True}},
    "flag of the feature": {"shape": [48, 64, 3], "is_depth_map": True},
    "one channel, last": {"shape": [48, 64, 1], "names": ["height", "width", "channels"]},
    "one channel, first": {
        "shape": [1, 48, 64],
        "names": ["channel", "height", "width"],
        "info": {"video.is_depth_map": False},
    },
    "one channel without names": {"shape": [1, 48, 64]},
}


@pytest.mark.parametrize("form", DEPTH_MAPS)
def test_a_depth_map_beside_one_camera_is_not_a_second_camera(form, tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "info.json"
    content = json.loads(path.read_text())
    content["features"]["observation.depths.front_depth"] = {"dtype": "video", **DEPTH_MAPS[form]}
    path.write_text(json.dumps(content))
    assert the_sample(lerobot.read(root, None, calibration)).provenance["camera"] == CAMERA


@pytest.mark.parametrize("shape", [[48, 64, 3], [3, 48, 64]])
def test_a_colour_camera_is_a_camera_in_both_orders_of_its_axes(shape, tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "info.json"
    content = json.loads(path.read_text())
    content["features"]["observation.images.wrist"] = {"dtype": "video", "shape": shape}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"no camera is selected; .*observation.images.wrist"):
        read_all(root, calibration)


def test_episodes_of_version_3_need_no_list_of_tasks(tmp_path, calibration):
    root = write_lerobot_v3(tmp_path / "set", EPISODES)
    path = root / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["tasks"]), path)
    samples = list(lerobot.read(root, None, calibration))
    assert [each.instruction for each in samples] == [each.task for each in EPISODES]


def test_a_calibration_for_another_size_is_refused_with_the_factors(tmp_path):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    calibration = write_calibration(tmp_path / "large.yaml", image_size=[640, 480])
    bad = the_bad_record(lerobot.read(root, None, calibration))
    assert bad.code is ErrorCode.SIZE_MISMATCH
    assert (
        "multiply fx and cx by 0.1, fy and cy by 0.1, and state image_size: [64, 48]" in bad.detail
    )


def test_positions_may_be_indices_of_another_column_and_in_millimetres(tmp_path):
    wide = [Recorded(1000 * walk(), grey=80)]
    root = write_lerobot_v2(tmp_path / "set", wide)
    calibration = write_calibration(
        tmp_path / "mm.yaml",
        unit="mm",
        position={"column": "observation.state", "indices": [0, 1, 2]},
        extrinsics={"base_from_camera": np.linalg.inv(camera_from_base()).tolist()},
    )
    trace = the_sample(lerobot.read(root, None, calibration)).target.points
    np.testing.assert_allclose(trace, CORNERS, atol=1e-3)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (
            {"names": ["x", "y", "tip"]},
            "'tip' is not a name of 'observation.state'; it has x, y, z",
        ),
        ({"indices": [0, 1, 7]}, "'observation.state' has 7 numbers, so no index 7"),
        ({"column": "pose", "indices": [0, 1, 2]}, "no state 'pose'; it has observ"),
    ],
)
def test_a_position_that_the_data_set_does_not_have_is_refused(position, words, tmp_path):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    calibration = write_calibration(tmp_path / "c.yaml", position=position)
    with pytest.raises(UserError) as caught:
        read_all(root, calibration)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"motors": ["x", "y", "z", "a", "b", "c", "d"]}, None),
        (None, "the 7 numbers of 'observation.state' have no names"),
        (["x", "y", "z", "z", "b", "c", "d"], "'z' is the name of several numbers"),
    ],
)
def test_names_may_be_nested_but_must_exist(names, words, tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1])
    path = root / "meta" / "info.json"
    content = json.loads(path.read_text())
    content["features"]["observation.state"]["names"] = names
    path.write_text(json.dumps(content))
    if words is None:
        assert len(read_all(root, calibration)) == 1
        return
    with pytest.raises(UserError, match=words):
        read_all(root, calibration)


def test_paths_follow_the_template_or_else_the_default_layout(tmp_path, calibration):
    moved = write_lerobot_v2(
        tmp_path / "moved", EPISODES[:1], data_path="data/train-{episode_index:05d}.parquet"
    )
    shutil.move(moved / DATA["v2.1"], moved / "data/train-00000.parquet")
    sample = the_sample(lerobot.read(moved, None, calibration))
    assert sample.provenance["file"] == "data/train-00000.parquet"
    wrong = write_lerobot_v2(
        tmp_path / "wrong", EPISODES[:1], data_path="data/part-{episode_index:03d}/{video_key}"
    )
    assert len(read_all(wrong, calibration)) == 1
    odd = write_lerobot_v2(
        tmp_path / "odd", EPISODES[:1], data_path="data/{episode_index.__class__}{secret}"
    )
    with pytest.raises(
        UserError, match=r"a path template has '\{secret\}'; valid are episode_index"
    ):
        read_all(odd, calibration)


def test_a_path_that_leaves_the_data_set_is_refused(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1], data_path="../outside.parquet")
    shutil.copy(root / DATA["v2.1"], tmp_path / "outside.parquet")
    assert the_bad_record(lerobot.read(root, None, calibration)).code is ErrorCode.ESCAPING_PATH


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "'codebase_version' is NoneType None, but must be one of v2.0, v2.1, v3.0"),
        ('{"codebase_version": "v1.6"}', "'codebase_version' is str 'v1.6'"),
        ('{"codebase_version": "v2.1", "features": {"a": 1}}', "'features' needs an object"),
    ],
)
def test_an_invalid_description_file_is_named(content, words, tmp_path):
    path = tmp_path / "meta" / "info.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        list(lerobot.read(tmp_path, None))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_that_is_not_a_data_set_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no meta/info.json; give the folder"):
        list(lerobot.read(tmp_path, None))


def test_images_may_be_files_beside_the_data(tmp_path, calibration):
    root = write_lerobot_v2(tmp_path / "set", EPISODES[:1], kind="image")
    path = root / DATA["v2.1"]
    table = pq.read_table(path)
    place = table.schema.get_field_index(CAMERA)

    def stored(value):
        column = pa.array([value] * len(table))
        write_parquet(path, table.set_column(place, CAMERA, column))
        return lerobot.read(root, tmp_path / "frames", calibration)

    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0.png").write_bytes(encoded(SIZE, seed=5))
    assert the_sample(stored({"bytes": None, "path": "0.png"})).image == encoded(SIZE, seed=5)
    assert the_sample(stored(encoded(SIZE, seed=6))).image == encoded(SIZE, seed=6)
    assert (
        the_bad_record(stored({"bytes": b"no image", "path": ""})).code
        is ErrorCode.UNREADABLE_IMAGE
    )
    assert the_bad_record(stored("../0.png")).code is ErrorCode.ESCAPING_PATH
    assert the_bad_record(stored(7)).code is ErrorCode.WRONG_TYPE


@pytest.mark.parametrize("option", ["--calibration", "--camera"])
def test_the_command_line_passes_the_options_on_and_other_formats_refuse_them(
    option, tmp_path, calibration
):
    root = write_lerobot_v3(tmp_path / "set", EPISODES)
    arguments = ["import", "lerobot", str(root), "--out", str(tmp_path / "out")]
    arguments += ["--calibration", str(calibration), "--camera", "front"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "wrote 3 samples" in result.output
    refused = CliRunner().invoke(
        app, ["import", "sharerobot", str(root), "--out", str(tmp_path / "no"), option, "x"]
    )
    assert f"format sharerobot has no option {option}" in str(refused.exception)
