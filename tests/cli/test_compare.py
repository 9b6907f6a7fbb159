import json

import pytest
from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from maniplvm.evaluation import RandomBaseline, evaluate
from tests.evaluation.scenery import Counting, small_set, stored


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("compare")
    data = stored(root / "data", small_set(splits=("id_test", "ood_tasks")))
    for name, predictor in (("random", RandomBaseline()), ("right", Counting())):
        evaluate(predictor, data, root / name)
    return [root / "random", root / "right"]


def run(*arguments, columns=150):
    result = CliRunner().invoke(
        app, ["compare", *map(str, arguments)], env={"COLUMNS": str(columns)}
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_a_terminal_shows_a_table_for_each_group(runs):
    output = run(*runs, "--against", "random", "--intervals")
    assert output.count("in domain: id_test · means") == 1
    assert output.count("out of domain: ood_tasks · minus random, paired by sample") == 1
    line = next(line for line in output.splitlines() if line.strip().startswith("right"))
    assert line.split()[:4] == ["right", "100.00", "100.0", "0.0"]
    for part in ("IoU > .5", "DFD ↓", "VLA-R1-3B", "Protocol maniplvm, strict", "arXiv 2510.01623"):
        assert part in output


def test_a_narrow_terminal_cuts_no_number(runs):
    output = run(*runs, "--against", "random", "--split", "id_test", columns=60)
    assert "…" not in output
    assert "100.00" in output


@pytest.mark.parametrize("suffix", ["md", "tex", "csv", "html", "json"])
def test_a_file_is_written_in_the_format_of_its_suffix(runs, tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    run(*runs, "--out", path, "--names", "R&D,Right")
    written = path.read_text(encoding="utf-8")
    assert {"tex": r"R\&D", "csv": "R&D"}.get(suffix, "R&amp;D" if suffix != "json" else "R&D") in (
        written
    )
    assert run(*runs, "--format", suffix, "--names", "R&D,Right") == written


def test_stacked_files_have_a_table_for_each_group(runs):
    assert run(*runs, "--format", "md").count("| --- |") == 1
    assert run(*runs, "--format", "md", "--stack").count("| --- |") == 2


def test_options_reach_the_table(runs):
    plain = json.loads(
        run(
            *runs,
            *("--format", "json", "--reading", "published", "--no-published"),
            *("--in-domain", "id_test, ood_tasks", "--matrix", "iou", "--seed", "3"),
        )
    )
    assert plain["title"] == "protocol maniplvm, published"
    assert {h["group"] for h in plain["tables"][0]["headings"]} == {"in domain: id_test, ood_tasks"}
    assert [row["name"] for row in plain["tables"][0]["rows"]] == ["random", "right"]
    assert [h["text"] for h in plain["tables"][1]["headings"]] == ["random", "right"]
    assert any("seed 3" in note for note in plain["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "give the folder of a finished evaluation"),
        (["--names", "a,,b"], "a name is empty"),
        (
            ["--out", "table.pdf"],
            "the suffix 'pdf' is not a known format; choose from md, tex, csv",
        ),
        (["--out", "no/such/folder.md"], "cannot be written"),
        (["--reading", "kind"], "unknown reading 'kind'"),
        (["--against", "x"], "no run is called 'x'; choose from random, right"),
    ],
)
def test_runs_that_cannot_be_compared_are_a_one_line_error(
    runs, monkeypatch, capsys, arguments, message
):
    monkeypatch.setattr("sys.argv", ["maniplvm", "compare", *map(str, runs), *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
