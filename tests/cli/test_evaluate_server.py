"""`maniplvm evaluate --server` and `maniplvm predict --server`."""

import json

import pytest

pytest.importorskip("httpx2")

from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from tests.cli.images import png
from tests.evaluation.predictors.server.chat_server import completion, saying, serving, status
from tests.evaluation.scenery import small_set, stored


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def data(tmp_path):
    return stored(tmp_path / "data", small_set())


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result


def refused(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["maniplvm", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_a_served_model_is_evaluated_and_its_usage_is_printed(tmp_path, data):
    asked = ("evaluate", "Qwen/Qwen3-VL-4B-Instruct", "--data", data, "--out", tmp_path / "out")
    prices = ("--price-in", "0.5", "--price-out", "2", "--no-execute")
    with serving() as server:
        first = run(*asked, "--server", server.url, *prices)
        again = run(*asked, "--server", "http://127.0.0.1:1/v1", *prices)
    assert "family qwen3_vl (read from its name; --family overrides it)" in first.stderr
    assert "16 completions: 1,600 prompt tokens, 112 completion tokens; cost 0.0010" in first.stdout
    assert len(server.requests) == 16
    assert "already finished" in again.stdout  # and no server is needed for that
    usage = json.loads((tmp_path / "out" / "usage.json").read_text())
    assert usage["cost"] == pytest.approx(0.001024)
    assert usage["finish"] == {"stop": 16}
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert result["model"] == "Qwen/Qwen3-VL-4B-Instruct"
    assert (result["decoding"]["family"], result["decoding"]["frame"]) == ("qwen3_vl", "qwen3_vl")


def test_unusual_finish_reasons_are_printed(tmp_path, data):
    script = {0: saying(completion("cut", "length")), 1: saying({"choices": [{"message": {}}]})}
    with serving(script=script) as server:
        output = run(
            *("evaluate", "m", "--family", "unit", "--server", server.url, "--no-execute"),
            *("--data", data, "--out", tmp_path / "out", "--concurrency", "1"),
        ).stdout
    assert "1 without token counts from the server" in output
    assert "finish reasons other than stop: 1 empty, 1 length" in output


def test_a_failing_server_is_a_one_line_error_after_the_notices(
    tmp_path, data, monkeypatch, capsys
):
    with serving(default=status(503, "busy")) as server:
        lines = refused(
            *(monkeypatch, capsys, "evaluate", "qwen3-vl", "--server", server.url),
            *("--data", data, "--out", tmp_path / "out", "--retries", "1"),
            *("--max-consecutive-failures", "1", "--concurrency", "1", "--no-execute"),
        )
    assert lines[-1].startswith("maniplvm: 1 requests in a row failed, the last for")
    assert lines[-1].endswith(
        "HTTP 503, busy; 0 completions are stored; run the same command again for the rest"
    )
    assert lines[1] == "HTTP 503, busy; retrying"
    assert len(lines) == 3


def test_the_old_name_of_an_option_still_works_with_a_notice(tmp_path, data, monkeypatch, capsys):
    with serving(default=status(503, "busy")) as server:
        lines = refused(
            *(monkeypatch, capsys, "evaluate", "qwen3-vl", "--server", server.url),
            *("--data", data, "--out", tmp_path / "out", "--retries", "0"),
            *("--give-up-after", "2", "--concurrency", "1", "--no-execute"),
        )
    assert lines[0] == (
        "maniplvm: `--give-up-after` is deprecated, use `--max-consecutive-failures`"
    )
    assert lines[-1].startswith("maniplvm: 2 requests in a row failed")


def test_the_old_name_of_an_option_is_hidden_from_help():
    help_text = run("evaluate", "--help").stdout
    assert "--max-consecutive-fail" in help_text
    assert "--give-up-after" not in help_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m"], "m: its family cannot be read from its name; give --family"),
        (["qwen3-vl", "--extra", "{"], "--extra: not JSON"),
        (["qwen3-vl", "--extra", "[1]"], "--extra: expected a JSON object"),
        (["qwen3-vl", "--extra", '{"seed": 1}'], "--extra: seed is reserved"),
        (["qwen3-vl", "--price-in", "1"], "--price-in and --price-out belong together"),
        (["qwen3-vl", "--price-in", "1", "--price-out", "-1"], "must not be below 0"),
        (["qwen3-vl", "--adapter", "a", "--device", "cpu"], "--adapter, --device would have no"),
        (["qwen3-vl", "--timeout", "0"], "--timeout and --connect-timeout must be above 0"),
        (["qwen3-vl", "--key-env", "NO_SUCH_KEY"], "that environment variable is not set"),
        (["qwen3-vl"], "check that the server runs at this address"),
        (["--predictions", "p.jsonl"], "--server needs the name of the model on the server"),
    ],
)
def test_invalid_settings_are_a_one_line_error(
    tmp_path, data, monkeypatch, capsys, arguments, message
):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    common = ("--data", data, "--out", tmp_path / "out", "--server", "http://127.0.0.1:1/v1")
    lines = refused(monkeypatch, capsys, "evaluate", *arguments, *common)
    assert message in lines[-1]


def test_server_options_need_a_server(tmp_path, data, monkeypatch, capsys):
    common = ("--data", data, "--out", tmp_path / "out", "--price-in", "1", "--extra", "{}")
    (line,) = refused(monkeypatch, capsys, "evaluate", "embedded", *common)
    assert "--extra, --price-in would have no effect: only for a model on a --server" in line


def test_predict_works_with_a_served_model(tmp_path, monkeypatch, capsys):
    image = tmp_path / "kitchen.png"
    image.write_bytes(png(64, 48))
    asked = ("predict", "qwen3-vl", image, "open it", "--task", "affordance", "--json")
    text = "<think>a</think><answer>[250, 500, 500, 1000]</answer>"
    with serving(default=saying(completion(text))) as server:
        result = run(*asked, "--server", server.url)
    record = json.loads(result.stdout)
    assert record["answer"] == [16, 24, 32, 48]
    assert "family qwen3_vl" in result.stderr
    lines = refused(monkeypatch, capsys, *asked, "--server", server.url)
    assert "check that the server runs at this address" in lines[-1]
    lines = refused(monkeypatch, capsys, *asked, "--key-env", "X")
    assert "--key-env would have no effect" in lines[-1]
