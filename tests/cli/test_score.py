import json

import pytest
from PIL import Image, ImageColor
from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from maniplvm.cli.output import write_output
from maniplvm.data import PREDICTION_STYLE, TARGET_STYLE, write_dataset
from maniplvm.errors import UserError
from maniplvm.rewards import score
from tests.cli.images import png
from tests.rewards.test_scoring import BOX, TRACE, wrap

run = CliRunner().invoke


@pytest.fixture
def data(tmp_path):
    from dataclasses import replace

    folder = tmp_path / "data"
    samples = [replace(sample, image=png(640, 480)) for sample in (BOX, TRACE)]
    write_dataset(folder, samples, name="two")
    return folder


def predictions(tmp_path, *records):
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_predictions_file_is_scored_sample_by_sample(tmp_path, data):
    path = predictions(
        tmp_path,
        {"id": "trace", "text": wrap(TRACE.target.points + 10)},
        {"id": "box", "text": wrap([0.15, 0.2, 0.3, 0.4]), "frame": "unit"},
    )
    out, summary = tmp_path / "scores.jsonl", tmp_path / "summary.json"
    result = run(
        app,
        ["score", str(path), "--data", str(data), "--out", str(out), "--summary", str(summary)],
    )
    assert result.exit_code == 0, result.output
    trace, box = [json.loads(line) for line in out.read_text().splitlines()]
    assert trace["total"] == pytest.approx(score(wrap(TRACE.target.points + 10), TRACE).total)
    assert box["value_px"] == pytest.approx([96, 96, 192, 192])
    report = json.loads(summary.read_text())
    assert report["missing"] == 0
    assert report["tasks"]["affordance"]["parse_rate"]["mean"] == 1
    assert "affordance" in result.output
    assert "95 % interval" in result.output


def test_missing_predictions_and_failures_are_printed(tmp_path, data):
    path = predictions(tmp_path, {"id": "box", "text": "hm"})
    result = run(app, ["score", str(path), "--data", str(data)])
    assert "1 samples of the data set have no prediction" in result.output
    assert "1 no_answer_tag" in result.output


def test_guessed_answers_are_printed_and_stored(tmp_path, data):
    path = predictions(tmp_path, {"id": "box", "text": "[192, 192, 96, 96]"})
    out = tmp_path / "scores.jsonl"
    result = run(app, ["score", str(path), "--data", str(data), "--out", str(out)])
    assert "parsed with a guess: 1 swapped_corners" in result.output
    line = json.loads(out.read_text())
    assert line["status"] == "guessed"
    assert line["guesses"] == ["swapped_corners"]


def test_scored_predictions_are_drawn_over_their_targets(tmp_path, data):
    path = predictions(
        tmp_path,
        {"id": "trace", "text": wrap(TRACE.target.points + 10)},
        {"id": "box", "text": "hm"},
    )
    sheet = tmp_path / "sheet.png"
    result = run(app, ["score", str(path), "--data", str(data), "--sheet", str(sheet)])
    assert "drew 2 scored samples" in result.output
    with Image.open(sheet) as drawn:
        colours = {colour for _, colour in drawn.getcolors(1 << 20)}
    assert {
        (*ImageColor.getrgb(style.colour),) for style in (TARGET_STYLE, PREDICTION_STYLE)
    } <= colours


def test_an_unwritable_sheet_is_named(tmp_path, data, monkeypatch, capsys):
    path = predictions(tmp_path, {"id": "box", "text": "hm"})
    target = tmp_path / "sheet.nonsense"
    arguments = ["score", str(path), "--data", str(data), "--sheet", str(target)]
    monkeypatch.setattr("sys.argv", ["maniplvm", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert "sheet.nonsense: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--out", "--summary", "--sheet"])
def test_an_unwritable_file_is_an_error_before_the_work(
    tmp_path, data, monkeypatch, capsys, option
):
    path = predictions(tmp_path, {"id": "box", "text": "hm"})
    arguments = ["score", str(path), "--data", str(data), option, str(tmp_path / "no" / "file")]
    monkeypatch.setattr("sys.argv", ["maniplvm", *arguments])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr()
    assert "cannot be written; give a file in an existing folder" in printed.err
    assert printed.out == ""


def test_a_failed_write_is_a_one_line_error(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        write_output(tmp_path, "text")


def test_one_completion_is_scored_against_one_target():
    arguments = ["--task", "affordance", "--target", "[100, 100, 200, 180]", "--size", "640x480"]
    result = run(app, ["score-text", wrap(BOX.target.xyxy), *arguments])
    assert "2.0000" in result.output
    piped = run(app, ["score-text", "-", *arguments], input="[100, 100, 200, 180]")
    assert "no_answer_tag" in piped.output
    unread = run(app, ["score-text", "hm", *arguments])
    assert "0.0000" in unread.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "[1, 2, 3]", "--size", "64x48"], "box target: expected 4 numbers"),
        (["--target", "[1, 2", "--size", "64x48"], "--target or --size"),
        (["--target", "[1, 2, 3, 4]", "--size", "64"], "--size 64: expected WIDTHxHEIGHT"),
        (["--target", "[1, 2, 3, 4]", "--size", "64x48", "--frame", "q"], "unknown frame 'q'"),
        (["--target", "[1, 2, 3, 4]", "--size", "64x48", "--preset", "q"], "unknown preset 'q'"),
    ],
)
def test_invalid_input_is_a_one_line_error_with_status_2(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(
        "sys.argv", ["maniplvm", "score-text", "x", "--task", "affordance", *arguments]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_invalid_frame_in_a_predictions_file_is_named(tmp_path, data, monkeypatch, capsys):
    path = predictions(tmp_path, {"id": "box", "text": "x", "frame": "qwen"})
    monkeypatch.setattr("sys.argv", ["maniplvm", "score", str(path), "--data", str(data)])
    with pytest.raises(SystemExit):
        main()
    assert "predictions.jsonl: unknown frame 'qwen'" in capsys.readouterr().err


def test_the_version_is_printed():
    assert run(app, ["--version"]).output.startswith("maniplvm ")


def test_the_help_shows_the_brackets_of_targets():
    words = " ".join(run(app, ["score-text", "--help"]).output.replace("│", " ").split())
    assert "'[x1, y1, x2, y2]'" in words
    assert "'[[x, y], ...]'" in words
