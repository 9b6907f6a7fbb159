"""`maniplvm export` of recipes: what it writes and reports, and one line for bad input."""

import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from tests.engines.recipes import recipe_file, scene
from tests.models.llava import write_llava

FILES = {
    "verl": ["README.md", "reward.py", "run.sh", "train.parquet", "val.parquet"],
    "ms-swift": ["README.md", "images", "plugin.py", "run.sh", "train.jsonl", "val.jsonl"],
    "easyr1": [
        *("README.md", "config.yaml", "reward.py", "run.sh", "train.parquet", "val.parquet"),
    ],
}
ENGINES = tuple(FILES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = scene(tmp_path_factory.mktemp("scene"))
    recipe_file(folder, trainer={"loss_type": "dapo"})
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return write_llava(tmp_path_factory.mktemp("llava"))


def refused(monkeypatch, capsys, *words):
    """The line on standard error of a command that ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["maniplvm", "export", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("maniplvm: ")
    return line


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recipe_becomes_a_folder_and_the_next_command_is_reported(engine, folder, tmp_path):
    out = tmp_path / "out"
    words = ["export", engine, folder / "recipe.yaml", "--out", out, "--gpus", 2]
    done = CliRunner().invoke(app, [*map(str, words), "--val-split", "id_test"])
    assert done.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == FILES[engine]
    assert f"wrote {out}: 3 " in done.stdout
    assert "16 validation prompts" in done.stdout
    assert f"bash {out}/run.sh" in done.stdout
    assert "! shared_prefix.policy: " in done.stderr
    assert "maniplvm evaluate" in (out / "README.md").read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_changes_of_the_recipe_are_written(engine, folder, tmp_path):
    out = tmp_path / "out"
    words = ["export", engine, folder / "recipe.yaml", "--out", out, "--set", "trainer.beta=0.125"]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    files = [path.read_text() for path in out.iterdir() if path.suffix in (".sh", ".yaml")]
    assert any("0.125" in text for text in files)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "trainer.loss_type=luspo"], "trainer.loss_type is luspo; "),
        (["--set", "trainer.beta=high"], "trainer.beta: expected "),
        (["--set", "trainer.bata=1"], "did you mean beta"),
        (["--set", "time_limit_minutes=3"], "time_limit_minutes: "),
        (["--set", "model.source=nowhere/at-all"], "nowhere/at-all"),
        (["--set", "data.path=nowhere"], "nowhere"),
        (["--gpus", "0"], "--gpus must be at least 1"),
        (["--val-split", "other"], "other"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    engine, words, message, folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    line = refused(*(monkeypatch, capsys, engine, folder / "recipe.yaml", "--out", out), *words)
    assert message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_used_folder_and_a_missing_recipe_are_refused(
    engine, folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    line = refused(monkeypatch, capsys, engine, folder / "recipe.yaml", "--out", out)
    assert "out: is not empty; choose another --out" in line
    assert [path.name for path in out.iterdir()] == ["mine"]
    line = refused(monkeypatch, capsys, engine, tmp_path / "no.yaml", "--out", tmp_path / "new")
    assert "no.yaml" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_does_not_resize_as_qwen_vl_is_refused(
    engine, folder, llava, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    words = ["--out", out, "--set", f"model.source={llava}", "--set", "model.family=robopoint"]
    line = refused(monkeypatch, capsys, engine, folder / "recipe.yaml", *words)
    assert "resizes every image as the processors of Qwen-VL do" in line
    assert not out.exists()
