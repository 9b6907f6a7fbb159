import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from maniplvm.data import open_dataset
from maniplvm.models import write_tiny_checkpoint
from tests.evaluation.scenery import predictions_file, right, small_set, stored


@pytest.fixture
def data(tmp_path):
    return stored(tmp_path / "data", small_set(splits=("train", "id_test", "ood_tasks")))


def run(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result.output


def refused(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["maniplvm", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_model_is_evaluated_only_once(tmp_path, data):
    tiny = write_tiny_checkpoint(tmp_path / "tiny", "qwen3_vl")
    asked = (tiny, "--data", data, "--out", tmp_path / "out", "--splits", "id_test, ood_tasks")
    small = ("--max-new-tokens", "4", "--no-execute", "--max-pixels", str(64 * 64))
    first = run(*asked, *small)
    assert "affordance · protocol maniplvm, strict" in first
    assert "could not be parsed, counted as the worst" in first
    for heading in ("id_test", "ood_tasks", "IoU", "DFD/diagonal", "8 (4)", "parsed"):
        assert heading in first
    again = run(*asked, *small)
    assert "already finished" in again
    assert "already finished" not in first
    assert again.count("strict") == first.count("strict")
    plain = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert list(plain["splits"]) == ["id_test", "ood_tasks"]
    assert plain["decoding"]["temperature"] == 0


def test_two_evaluations_are_compared(tmp_path, data):
    samples = list(open_dataset(data).samples())
    good = predictions_file(tmp_path / "good.jsonl", {s.id: right(s) for s in samples})
    bad = predictions_file(tmp_path / "bad.jsonl", {s.id: "?" for s in samples})
    shared = ("--data", data, "--no-execute")
    run("--predictions", bad, *shared, "--out", tmp_path / "before")
    output = run(
        "--predictions",
        good,
        *shared,
        "--out",
        tmp_path / "after",
        "--against",
        tmp_path / "before",
    )
    assert "paired by sample" in output
    line = next(line for line in output.splitlines() if "box: IoU" in line)
    for part in ("8", "0.000", "1.000", "+1.000", "+1.000 to +1.000", "*"):
        assert part in line
    assert (tmp_path / "after" / "comparison.json").is_file()


def test_baselines_need_no_model(tmp_path, data):
    shared = ("--data", data, "--no-execute", "--splits", "ood_tasks")
    constant = run(
        "baseline:constant-per-task",
        *shared,
        "--baseline-data",
        f"{data}:train",
        "--out",
        tmp_path / "constant",
    )
    assert "fixed answers" in constant
    run("baseline:random", *shared, "--seed", "3", "--out", tmp_path / "random")
    plain = json.loads((tmp_path / "random" / "evaluation.json").read_text())
    assert (plain["model"], plain["decoding"]) == ("baseline:random", {"seed": 3})


def test_the_control_with_wrong_instructions_is_printed(tmp_path, data):
    shared = ("--data", data, "--no-execute", "--task", "affordance")
    output = run("baseline:random", *shared, "--wrong-instruction", "--out", tmp_path / "out")
    assert "wrong instructions" in output
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["wrong_instruction"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a model or --predictions"),
        (["m", "--predictions", "p.jsonl"], "give either a model or --predictions"),
        (["baseline:best"], "unknown baseline 'best'; choose from baseline:constant,"),
        (["baseline:constant"], "add --baseline-data DIR:SPLIT"),
        (["nowhere/at/all/here"], "no such folder"),
        (["baseline:random", "--splits", "test"], "has no split 'test'"),
        (["baseline:random", "--protocol", "umd"], "unknown protocol 'umd'"),
        (["baseline:random", "--preset", "best"], "unknown preset 'best'"),
        (["baseline:random", "--against", "nothing"], "give the folder of a finished evaluation"),
        (["m", "--draws", "4"], "4 greedy draws would be identical"),
        (["m", "--temperature", "-1"], "temperature must be 0 or more"),
    ],
)
def test_invalid_settings_are_a_one_line_error(
    tmp_path, data, monkeypatch, capsys, arguments, message
):
    common = ("--data", data, "--out", tmp_path / "out", "--no-execute")
    assert message in refused(monkeypatch, capsys, *arguments, *common)
