import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maniplvm.data import open_dataset, write_dataset
from maniplvm.data.split_file import row_at
from maniplvm.errors import UserError
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget
from tests.data.conftest import box_sample, encoded, trace_sample
from tests.strategies import SIZE, boxes, traces

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PROVENANCE = st.dictionaries(TEXT, JSON, max_size=3).filter(
    lambda value: "\\ud" not in json.dumps(value)
)
TARGET = boxes().map(BoxTarget) | traces(fewest=2).map(TraceTarget)


@st.composite
def samples(draw):
    target = draw(TARGET)
    return Sample(
        id=draw(TEXT),
        task=Task.AFFORDANCE if isinstance(target, BoxTarget) else Task.TRAJECTORY,
        instruction=draw(TEXT),
        image_size=draw(SIZE),
        target=target,
        image=draw(st.none() | st.binary(max_size=50)),
        split=draw(st.sampled_from(["train", "id_test", "ood.tasks-2"])),
        category=draw(st.none() | TEXT),
        scene=draw(st.just("") | TEXT),
        part=draw(st.just("") | TEXT),
        provenance=draw(PROVENANCE),
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=st.lists(samples(), min_size=1, max_size=8, unique_by=lambda sample: sample.id))
def test_samples_come_back_as_they_were_written(tmp_path, written):
    folder = tmp_path / "set"
    write_dataset(folder, written, name="any", overwrite=True)
    dataset = open_dataset(folder)
    assert len(dataset) == len(written)
    assert set(dataset.splits) == {sample.split for sample in written}
    for split in dataset.splits:
        expected = [sample for sample in written if sample.split == split]
        assert list(dataset.samples(split)) == expected
    assert dataset.sample(written[-1].id) == written[-1]


@pytest.fixture
def folder(tmp_path):
    write_dataset(
        tmp_path / "set",
        [
            box_sample("a", image=encoded()),
            trace_sample("b", image=encoded(), split="id_test"),
            trace_sample("c", split="id_test"),
        ],
        name="small",
    )
    return tmp_path / "set"


def test_samples_can_be_chosen_by_split_and_by_task(folder):
    dataset = open_dataset(folder)
    assert [sample.id for sample in dataset.samples()] == ["a", "b", "c"]
    assert [sample.id for sample in dataset.samples("id_test")] == ["b", "c"]
    assert [sample.id for sample in dataset.samples(task="affordance")] == ["a"]
    assert list(dataset.samples("id_test", Task.AFFORDANCE)) == []
    assert dataset.splits == ("train", "id_test")
    assert repr(dataset) == "Dataset('small', 3 samples, splits train, id_test)"


def test_images_stay_on_disk_when_they_are_not_wanted(folder):
    with_images = [sample.image for sample in open_dataset(folder).samples()]
    without = [sample.image for sample in open_dataset(folder).samples(images=False)]
    assert with_images == [encoded(), encoded(), None]
    assert without == [None, None, None]


def test_a_sample_is_found_by_its_id_in_a_later_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr("maniplvm.data.writer._GROUP_ROWS", 2)
    write_dataset(tmp_path / "set", [box_sample(f"n{i}") for i in range(7)], name="x")
    dataset = open_dataset(tmp_path / "set")
    assert pq.ParquetFile(tmp_path / "set" / "train.parquet").num_row_groups == 4
    assert [dataset.sample(f"n{i}").id for i in range(7)] == [f"n{i}" for i in range(7)]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda d: d.samples("test"), r"no split 'test'; choose from train, id_test"),
        (lambda d: d.samples(task="box"), r"unknown task 'box'; choose from affordance, traj"),
        (lambda d: d.sample("zzz"), r"holds no sample 'zzz'$"),
        (lambda d: d.sample("aa"), r"holds no sample 'aa'; similar: a"),
    ],
)
def test_an_unknown_name_is_refused_at_the_call_with_the_valid_ones(folder, ask, message):
    with pytest.raises(UserError, match=message):
        ask(open_dataset(folder))


def test_a_folder_without_a_description_is_no_data_set(tmp_path):
    with pytest.raises(UserError, match=r"not a data set \(dataset.json is missing\)"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'schema_version'"),
        ('{"schema_version": "1", "counts": {}}', "TypeError"),
        ('{"schema_version": 1, "name": "x", "counts": []}', "AttributeError"),
        ('{"schema_version": 1, "name": "x", "counts": {"train": 3}}', "AttributeError"),
        ('{"schema_version": 1, "name": "x", "counts": {"a": {"b": "c"}}}', "TypeError"),
        ('{"schema_version": 1, "name": "x", "counts": {}, "colour": 3}', "colour"),
        ('{"schema_version": 1, "name": "x", "counts": {"../x": {}}}', "'../x' cannot name a"),
    ],
)
def test_a_damaged_description_is_one_clear_line(tmp_path, content, message):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        open_dataset(tmp_path)
    assert "dataset.json: not a data set description" in str(caught.value)


def test_a_newer_schema_asks_for_an_upgrade(folder):
    content = json.loads((folder / "dataset.json").read_text())
    content.update(schema_version=2, news="something")
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"schema version 2 is newer than 1.*upgrade maniplvm"):
        open_dataset(folder)


def test_a_missing_split_file_is_named(folder):
    (folder / "id_test.parquet").unlink()
    dataset = open_dataset(folder)
    assert len(list(dataset.samples("train"))) == 1
    with pytest.raises(UserError, match=r"id_test.parquet: the file of this split is missing"):
        list(dataset.samples())


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_truncated_file_is_named(folder, kept):
    path = folder / "train.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"train.parquet: damaged or no parquet file"):
        list(open_dataset(folder).samples())


def test_damage_inside_a_file_is_named(folder):
    path = folder / "train.parquet"
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train.parquet: damaged"):
        list(open_dataset(folder).samples())


def test_a_foreign_parquet_file_is_recognized(folder):
    pq.write_table(pa.table({"x": [1]}), folder / "train.parquet")
    with pytest.raises(
        UserError, match=r"not a maniplvm data set: column 'id' is missing \(found: x"
    ):
        list(open_dataset(folder).samples())


def test_a_column_of_another_type_is_an_error(folder):
    table = pq.read_table(folder / "train.parquet")
    changed = table.set_column(5, "height", pa.array(["48"]))
    changed = changed.drop_columns(["width"]).append_column("width", table["width"])
    pq.write_table(changed, folder / "train.parquet")
    with pytest.raises(UserError, match=r"column 'height' holds string, not int32"):
        list(open_dataset(folder).samples())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("task", "grasp", "grasp"),
        ("box", None, "exactly one of the columns"),
        ("width", None, "NoneType"),
        ("provenance", "{", "Expecting property name"),
        ("provenance", None, "NoneType"),
        ("id", "", "the id is empty"),
    ],
)
def test_a_row_that_is_no_sample_is_named(folder, column, value, message):
    table = pq.read_table(folder / "train.parquet")
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "train.parquet")
    with pytest.raises(UserError, match=message) as caught:
        list(open_dataset(folder).samples())
    assert "train.parquet: row 0 is not a sample" in str(caught.value)


def test_hugging_face_datasets_decodes_the_images(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    samples = [box_sample(image=encoded()), trace_sample(image=encoded((64, 48), "JPEG"))]
    write_dataset(tmp_path / "set", samples, name="x")
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "set" / "train.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert isinstance(loaded.features["image"], datasets.Image)
    first, second = loaded
    assert first["image"].size == (64, 48)
    assert second["image"].format == "JPEG"
    assert first["box"] == [1, 2, 30.5, 40]
    assert first["trace"] is None
    assert second["trace"] == [[1, 2], [30, 40], [50.5, 7]]
    assert second["task"] == "trajectory"


def test_a_row_beyond_the_end_is_an_index_error(folder):
    with pytest.raises(IndexError, match="no row"):
        row_at(folder / "train.parquet", 99)


def without_columns(path, *names):
    """Rewrites a split's file as a version without these columns did."""
    pq.write_table(pq.read_table(path).drop_columns(list(names)), path)


@pytest.mark.parametrize(
    ("provenance", "scene", "part"),
    [
        (
            {"world": "metaworld", "task": "door-open-v3", "seed": 7, "part": "the handle"},
            "metaworld/door-open-v3/7",
            "the handle",
        ),
        ({"world": "kitchen"}, "", ""),
        ({"world": "kitchen", "task": 3, "seed": 1, "part": 2}, "", ""),
        ({}, "", ""),
    ],
)
def test_a_data_set_without_scene_and_part_takes_them_from_the_simulators_provenance(
    tmp_path, provenance, scene, part
):
    written = box_sample("a", provenance=provenance)
    write_dataset(tmp_path / "set", [written], name="old")
    assert next(open_dataset(tmp_path / "set").samples()) == written
    without_columns(tmp_path / "set" / "train.parquet", "scene", "part")
    dataset = open_dataset(tmp_path / "set")
    for sample in (next(dataset.samples()), dataset.sample("a")):
        assert (sample.scene, sample.part) == (scene, part)
        assert sample.provenance == provenance
    assert dataset.table("train").column("scene").to_pylist() == [scene]
