import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import maniplvm
from maniplvm.data import DatasetWriter, open_dataset, replacement, write_dataset, writer
from maniplvm.errors import UserError
from tests.data.conftest import box_sample, encoded, trace_sample


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def scene(i):
    image = encoded((96, 96), seed=i)
    return (
        box_sample(f"a{i}", image=image, provenance={"scene": i}),
        trace_sample(f"t{i}", image=image, provenance={"scene": i}),
    )


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        samples = [sample for i in range(5) for sample in scene(i)]
        write_dataset(tmp_path / name, samples, name="x", extra={"seed": 3})
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert set(digest(tmp_path / "one")) == {"dataset.json", "train.parquet"}


def test_an_image_that_neighbours_share_is_stored_once(tmp_path):
    scenes = [scene(i) for i in range(20)]
    write_dataset(tmp_path / "single", [first for first, _ in scenes], name="x")
    write_dataset(tmp_path / "double", [sample for pair in scenes for sample in pair], name="x")
    single, double = (
        (tmp_path / name / "train.parquet").stat().st_size for name in ("single", "double")
    )
    images = sum(len(first.image or b"") for first, _ in scenes)
    assert single > images
    assert double < single + 0.02 * images


def test_a_row_group_does_not_end_between_samples_that_share_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr("maniplvm.data.writer._GROUP_ROWS", 3)
    monkeypatch.setattr("maniplvm.data.writer._GROUP_ROWS_AT_MOST", 5)
    pairs = [sample for i in range(4) for sample in scene(i)]
    same = [box_sample(f"s{i}", image=encoded()) for i in range(7)]
    write_dataset(tmp_path / "set", [*pairs, *same], name="x")
    file = pq.ParquetFile(tmp_path / "set" / "train.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [4, 4, 5, 2]
    assert len(list(open_dataset(tmp_path / "set").samples())) == 15


def test_a_row_group_ends_before_its_images_grow_too_large(tmp_path, monkeypatch):
    image = encoded()
    monkeypatch.setattr("maniplvm.data.writer._GROUP_IMAGE_BYTES", 2 * len(image))
    monkeypatch.setattr("maniplvm.data.writer._GROUP_BYTES_AT_MOST", 4 * len(image))
    different = [box_sample(f"d{i}", image=encoded(seed=i)) for i in range(4)]
    same = [box_sample(f"s{i}", image=encoded(seed=9)) for i in range(6)]
    write_dataset(tmp_path / "set", [*different, *same], name="x")
    file = pq.ParquetFile(tmp_path / "set" / "train.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [2, 2, 4, 2]


def test_the_description_counts_by_split_and_task_and_names_its_makers(tmp_path):
    with DatasetWriter(
        tmp_path / "set",
        name="Ünï",
        description="Some words.",
        license="CC-BY-4.0",
        homepage="https://example.org",
        extra={"seed": 7},
    ) as writer:
        writer.add(trace_sample("1"))
        writer.add(box_sample("2", split="id_test"))
        writer.add(trace_sample("3"))
    info = open_dataset(tmp_path / "set").info
    assert info.counts == {"train": {"trajectory": 2}, "id_test": {"affordance": 1}}
    assert (info.name, info.description) == ("Ünï", "Some words.")
    assert (info.license, info.homepage) == ("CC-BY-4.0", "https://example.org")
    assert info.extra == {"seed": 7}
    assert info.versions["maniplvm"] == maniplvm.__version__
    assert "pyarrow" in info.versions
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["schema_version"] == 1


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def broken():
        yield box_sample()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "set", broken(), name="x")
    assert not (tmp_path / "set").exists()


def test_an_interrupted_write_keeps_the_old_data_set(tmp_path):
    write_dataset(tmp_path / "set", [box_sample("old")], name="x")
    before = digest(tmp_path / "set")
    with pytest.raises(UserError, match="used twice"):
        write_dataset(tmp_path / "set", [box_sample("new")] * 2, name="x", overwrite=True)
    assert digest(tmp_path / "set") == before


def test_a_data_set_in_the_making_cannot_be_opened(tmp_path):
    with DatasetWriter(tmp_path / "set", name="x") as writer:
        writer.add(box_sample())
        with pytest.raises(UserError, match=r"dataset.json is missing"):
            open_dataset(tmp_path / "set")
        assert not list((tmp_path / "set").glob("*.parquet"))
    assert len(open_dataset(tmp_path / "set")) == 1


def test_the_files_of_a_killed_write_are_replaced(tmp_path):
    left = tmp_path / "set" / "dataset.unfinished"
    left.mkdir(parents=True)
    (left / "train.parquet").write_bytes(b"cut off")
    write_dataset(tmp_path / "set", [box_sample()], name="x")
    assert len(open_dataset(tmp_path / "set")) == 1
    assert not left.exists()


def test_overwriting_replaces_the_data_set_and_nothing_else(tmp_path):
    write_dataset(tmp_path / "set", [box_sample(), box_sample("b", split="old")], name="x")
    (tmp_path / "set" / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"already holds a data set; allow overwriting"):
        write_dataset(tmp_path / "set", [trace_sample()], name="y")
    write_dataset(tmp_path / "set", [trace_sample()], name="y", overwrite=True)
    assert set(digest(tmp_path / "set")) == {"README.md", "dataset.json", "train.parquet"}
    assert open_dataset(tmp_path / "set").info.name == "y"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_is_never_written_to(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"not empty and holds no data set; choose another"):
        write_dataset(tmp_path, [box_sample()], name="x", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "set").write_text("x")
    with pytest.raises(UserError, match=r"is a file; a data set needs its own folder"):
        write_dataset(tmp_path / "set", [box_sample()], name="x", overwrite=True)


def test_a_damaged_data_set_is_not_overwritten(tmp_path):
    (tmp_path / "dataset.json").write_text('{"schema_version": 1, "counts": {"../a": {}}}')
    with pytest.raises(UserError, match="not a data set description"):
        write_dataset(tmp_path, [box_sample()], name="x", overwrite=True)


def test_an_empty_folder_may_be_used_and_stays_after_a_failure(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match="no sample was added"):
        write_dataset(tmp_path / "set", [], name="x")
    assert (tmp_path / "set").is_dir()
    write_dataset(tmp_path / "set", [box_sample()], name="x")
    assert len(open_dataset(tmp_path / "set")) == 1


def test_an_id_used_twice_is_named_even_across_splits(tmp_path):
    samples = [box_sample("twin"), trace_sample("twin", split="id_test")]
    with pytest.raises(UserError, match=r"sample id 'twin' is used twice"):
        write_dataset(tmp_path / "set", samples, name="x")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("split", ["x" * 201, "../up", "a/b", ".hidden", "", "a b"])
def test_a_split_must_be_a_plain_file_name(tmp_path, split):
    with pytest.raises(UserError, match=r"sample 'a': .* cannot name a split"):
        write_dataset(tmp_path / "set", [box_sample(split=split)], name="x")


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_a_provenance_that_is_not_json_names_the_sample(tmp_path, value):
    with pytest.raises(UserError, match=r"sample 'a': the provenance cannot be stored"):
        write_dataset(tmp_path / "set", [box_sample(provenance={"k": value})], name="x")


@pytest.mark.parametrize(
    "fields", [{"instruction": "\ud800"}, {"category": "\udfff"}, {"provenance": {"k": "\ud801"}}]
)
def test_a_text_that_is_not_unicode_names_the_sample(tmp_path, fields):
    with pytest.raises(UserError, match=r"sample 'a': \w+ holds a character that is not valid"):
        write_dataset(tmp_path / "set", [box_sample(**fields)], name="x")


def test_extras_that_are_not_json_are_refused_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"extra: cannot be stored as JSON"):
        write_dataset(tmp_path / "set", [box_sample()], name="x", extra={"k": object()})


def test_a_data_set_without_samples_is_not_written(tmp_path):
    with pytest.raises(UserError, match=r"no sample was added"):
        write_dataset(tmp_path / "set", [], name="x")
    assert not (tmp_path / "set").exists()


def test_samples_are_added_inside_the_block_only(tmp_path):
    writer = DatasetWriter(tmp_path / "set", name="x")
    with pytest.raises(RuntimeError, match="context manager"):
        writer.add(box_sample())
    assert not (tmp_path / "set").exists()


def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r'pip install "maniplvm\[data\]"'):
        write_dataset(tmp_path / "set", [box_sample()], name="x")
    assert not (tmp_path / "set").exists()


def repeated(count, size):
    """Samples that share images and provenances in fours."""
    return [
        box_sample(
            f"a{i}",
            image=bytes([i // 4 % 251]) * size,
            provenance={"view": "v" * 400 + str(i // 4)},
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "limits", [{}, {"_GROUP_ROWS": 6}, {"_GROUP_ROWS_AT_MOST": 5}, {"_GROUP_IMAGE_BYTES": 70}]
)
def test_tables_are_written_as_their_samples_would_be(tmp_path, monkeypatch, limits):
    write_dataset(tmp_path / "parts", [*repeated(20, 30), box_sample("plain")], name="x")
    for name, value in limits.items():
        monkeypatch.setattr(f"maniplvm.data.writer.{name}", value)
    parts = open_dataset(tmp_path / "parts")
    write_dataset(tmp_path / "samples", parts.samples(), name="x")
    table = parts.table("train")
    with DatasetWriter(tmp_path / "tables", name="x") as writer:
        writer.add(next(parts.samples()))
        for first in range(1, 21, 7):
            writer.add_table("train", table.slice(first, 7))
    assert digest(tmp_path / "tables") == digest(tmp_path / "samples")


def test_a_table_with_a_known_id_is_refused(tmp_path):
    write_dataset(tmp_path / "parts", [box_sample("a")], name="x")
    table = open_dataset(tmp_path / "parts").table("train")
    with DatasetWriter(tmp_path / "set", name="x") as writer:
        writer.add_table("train", table)
        with pytest.raises(UserError, match="sample id 'a' is used twice"):
            writer.add_table("train", table)


def test_a_provenance_that_samples_share_is_stored_once(tmp_path):
    samples = repeated(40, 3)
    write_dataset(tmp_path / "set", samples, name="x")
    group = pq.ParquetFile(tmp_path / "set" / "train.parquet").metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    (stored,) = [column for column in columns if column.path_in_schema == "provenance"]
    texts = [json.dumps(sample.provenance) for sample in samples]
    assert stored.total_uncompressed_size < 1.2 * sum(map(len, set(texts)))
    assert stored.total_uncompressed_size < 0.4 * sum(map(len, texts))


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the package runs."""


MOVES = ["commit", "first file", "last file", "description", "clean-up"]


@pytest.mark.parametrize("moment", MOVES)
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_process_killed_while_files_move_loses_no_data_set(
    tmp_path, monkeypatch, moment, overwrite
):
    out = tmp_path / "set"
    if overwrite:
        write_dataset(out, [box_sample("old", split="old"), box_sample("a")], name="old")
    new = [box_sample("a"), box_sample("b", split="val"), box_sample("c", split="test")]
    calls, real = [], Path.replace

    def replace(self, target):
        calls.append(self.name)
        if len(calls) == MOVES.index(moment) + 1 and moment != "clean-up":
            raise Killed
        return real(self, target)

    def remove(path):
        if path.name == "dataset.committed":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        if moment == "clean-up":
            patch.setattr(replacement, "remove", remove)
        patch.setattr(writer, "remove", lambda path: None)  # a killed process cleans up nothing
        with pytest.raises(Killed):
            write_dataset(out, new, name="new", overwrite=overwrite)
    if moment == "commit":
        if overwrite:
            assert [each.id for each in open_dataset(out).samples()] == ["old", "a"]
        write_dataset(out, new, name="new", overwrite=overwrite)
    assert sorted(each.id for each in open_dataset(out).samples()) == ["a", "b", "c"]
    names = {path.name for path in out.iterdir()}
    assert names == {"dataset.json", "train.parquet", "val.parquet", "test.parquet"}


def test_two_writers_on_one_folder_give_one_data_set_and_one_error(tmp_path):
    out = tmp_path / "set"
    with DatasetWriter(out, name="first") as first:
        first.add(box_sample("a"))
        with pytest.raises(UserError, match="another process writes to it"):
            write_dataset(out, [box_sample("b")], name="second")
    assert [each.id for each in open_dataset(out).samples()] == ["a"]
    assert {path.name for path in out.iterdir()} == {"dataset.json", "train.parquet"}


HOSTILE_IDS = [
    *("a/b-x", "a-b-x", "a%2Fb-x", "A/B-X", "../../x", "/etc/x", "..", "a\0b", "con", "a\nb"),
    *("\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}", "x" * 5000),
]


def test_ids_are_only_data_so_no_id_makes_a_file_or_meets_another(tmp_path):
    samples = [box_sample(id, image=encoded(seed=i)) for i, id in enumerate(HOSTILE_IDS)]
    write_dataset(tmp_path / "set", samples, name="x")
    assert {path.name for path in tmp_path.rglob("*")} == {"set", "dataset.json", "train.parquet"}
    stored = open_dataset(tmp_path / "set")
    assert [sample.id for sample in stored.samples()] == HOSTILE_IDS
    for sample in samples:
        assert stored.sample(sample.id).image == sample.image


def test_splits_that_differ_only_in_case_are_refused(tmp_path):
    samples = [box_sample("a", split="train"), box_sample("b", split="Train")]
    with pytest.raises(UserError, match=r"'Train' and 'train' would be one file where names"):
        write_dataset(tmp_path / "set", samples, name="x")
    assert not (tmp_path / "set").exists()
