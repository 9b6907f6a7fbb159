import pytest
from PIL import Image
from typer.testing import CliRunner

from maniplvm.cli.data import app
from maniplvm.data import open_dataset, write_dataset
from maniplvm.errors import UserError
from tests.data.conftest import box_sample, encoded, trace_sample
from tests.data.readers.umd.test_reader import HAMMER, KNIFE, LADLE, Umd


def run(*arguments):
    """The output of a command; a user's error is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def source(records):
    base = {"instruction": "lift [red] lid", "image": "1.png"}
    return records(
        {**base, "id": "a", "task": "affordance", "box": [10, 20, 30, 40], "category": "lid"},
        {**base, "id": "b", "task": "affordance", "box": [10, 20, 10, 40]},
        {**base, "id": "c", "task": "trajectory", "trace": [[1, 2], [30, 40]], "split": "id_test"},
    )


def test_import_stops_at_a_bad_record(source, tmp_path):
    with pytest.raises(UserError, match=r"record 1 \(id b\): empty box"):
        run("import", "jsonl", source, "--out", tmp_path / "set")


def test_import_reports_what_it_wrote_and_what_it_skipped(source, tmp_path):
    output = run("import", "jsonl", source, "--out", tmp_path / "set", "--skip-bad")
    assert f"wrote 2 samples to {tmp_path / 'set'}" in output.replace("\n", "")
    assert "skipped 1 record:" in output
    assert "1 x empty box" in output
    assert "record 1 (id b): empty box: box is 0 x 20 px" in output
    assert len(open_dataset(tmp_path / "set")) == 2


def test_import_takes_every_option(source, tmp_path):
    arguments = ["import", "jsonl", source, "--out", tmp_path / "set", "--limit", 1]
    arguments += ["--images", tmp_path / "images", "--split", "ood_robot"]
    run(*arguments, "--name", "mine", "--license", "MIT")
    with pytest.raises(UserError, match="already holds a data set"):
        run(*arguments)
    output = run(*arguments, "--overwrite", "--name", "mine", "--license", "MIT")
    assert "wrote 1 sample to" in output
    assert "skipped" not in output
    dataset = open_dataset(tmp_path / "set")
    assert (dataset.info.name, dataset.info.license) == ("mine", "MIT")
    assert dataset.splits == ("ood_robot",)


def test_info_shows_splits_sizes_targets_categories_and_the_licence(source, tmp_path):
    run("import", "jsonl", source, "--out", tmp_path / "set", "--skip-bad", "--license", "MIT")
    output = run("info", tmp_path / "set")
    for expected in (
        "jsonl: 2 samples",
        "licence: MIT",
        "id_test",
        "64 x 48",
        "box width [px]",
        "trace length [% of diagonal]",
        "lid",
        "(none)",
    ):
        assert expected in output


def test_info_shortens_long_lists(tmp_path):
    samples = [box_sample(f"s{i}", category=f"kind {i}") for i in range(20)]
    write_dataset(tmp_path / "set", samples, name="x")
    output = run("info", tmp_path / "set")
    assert "5 more" in output
    assert "kind 14" in output
    assert "kind 15" not in output


@pytest.fixture
def folder(tmp_path):
    samples = [box_sample(f"a{i}", image=encoded(seed=i)) for i in range(9)]
    write_dataset(tmp_path / "set", [*samples, trace_sample(split="id_test")], name="x")
    return tmp_path / "set"


def test_show_draws_a_sheet_that_the_seed_decides(folder, tmp_path):
    def sheet(name, *options):
        output = run("show", folder, "--out", tmp_path / name, "--count", 3, *options)
        assert "drew 3 samples" in output
        return Image.open(tmp_path / name)

    first = sheet("1.png", "--columns", 2)
    assert first.width == 16 + 2 * 336
    assert sheet("2.png", "--columns", 2) == first
    assert sheet("3.png", "--columns", 2, "--seed", 1) != first


def test_show_can_be_limited_to_a_split_or_a_task(folder, tmp_path):
    out = tmp_path / "sheet.jpg"
    assert "drew 1 sample in" in run("show", folder, "--out", out, "--split", "id_test")
    assert "drew 9 samples" in run("show", folder, "--out", out, "--task", "affordance")
    with pytest.raises(UserError, match="no samples to draw"):
        run("show", folder, "--out", out, "--split", "id_test", "--task", "affordance")
    with pytest.raises(UserError, match="has no split 'test'; choose from train, id_test"):
        run("show", folder, "--out", out, "--split", "test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "sheet.gif"], r"sheet.gif: not an image name; use the suffix .png"),
        (["--out", "gone/sheet.png"], "the folder gone does not exist"),
        (["--out", "sheet.png", "--count", "0"], "--count must be at least 1"),
        (["--out", "sheet.png", "--seed", "-1"], "--seed at least 0"),
    ],
)
def test_show_refuses_what_it_cannot_do(folder, options, message):
    with pytest.raises(UserError, match=message):
        run("show", folder, *options)


def test_progress_is_quiet_when_not_a_terminal(source, tmp_path):
    result = CliRunner().invoke(
        app, ["import", "jsonl", str(source), "--out", str(tmp_path / "set"), "--skip-bad"]
    )
    assert result.stderr == ""


def test_options_of_a_format_reach_its_reader_and_no_other(tmp_path):
    download = Umd(tmp_path / "umd")
    download.add("hammer_01", HAMMER, frames=range(1, 9))
    download.add("knife_01", KNIFE, frames=range(1, 9), split=2)
    download.add("ladle_01", LADLE, frames=range(1, 9))
    options = [
        "--split-file",
        "novel",
        "--sample",
        8,
        "--seed",
        3,
        "--every",
        2,
        "--task",
        "pointing",
    ]
    run("import", "umd", download.root, "--out", tmp_path / "set", *options)
    dataset = open_dataset(tmp_path / "set")
    assert len(list(dataset.samples(task="pointing"))) == 8
    assert dataset.info.extra["options"] == {
        "split_file": "novel",
        "sample": 8,
        "seed": 3,
        "every": 2,
        "task": "pointing",
    }
    assert {sample.provenance["official_split"][:6] for sample in dataset.samples()} == {"novel:"}
    with pytest.raises(
        UserError, match="format roborefit has no option --split-file; it has no options"
    ):
        run("import", "roborefit", tmp_path, "--out", tmp_path / "no", "--split-file", "novel")
    with pytest.raises(
        UserError, match=r"umd has no option --frame; it has --split-file, --sample"
    ):
        run("import", "umd", tmp_path, "--out", tmp_path / "no", "--frame", "unit")
