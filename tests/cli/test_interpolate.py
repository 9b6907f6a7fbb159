import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

from maniplvm.cli.app import app
from maniplvm.models import write_tiny_checkpoint


@pytest.fixture
def two(tmp_path):
    return [write_tiny_checkpoint(tmp_path / str(n), "qwen2_vl", seed=n) for n in (0, 1)]


def run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_the_command_writes_the_interpolated_model(two, tmp_path):
    result = run("interpolate", *two, "--alpha", "0.5", "--out", tmp_path / "out")
    assert "deprecated" not in result.stderr
    record = json.loads((tmp_path / "out" / "interpolation.json").read_text(encoding="utf-8"))
    assert record == {"start": str(two[0]), "trained": str(two[1]), "alpha": 0.5}


def test_the_old_command_gives_the_same_model_and_one_line_of_notice(two, tmp_path):
    run("interpolate", *two, "--alpha", "0.25", "--out", tmp_path / "new")
    result = run("blend", *two, "--share", "0.25", "--out", tmp_path / "old")
    assert result.stderr.splitlines()[0] == (
        "maniplvm: `blend` is deprecated, use `interpolate --alpha`"
    )
    new, old = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("new", "old"))
    assert new == old


def test_the_default_alpha_is_that_of_the_old_command(two, tmp_path):
    run("interpolate", *two, "--out", tmp_path / "new")
    record = json.loads((tmp_path / "new" / "interpolation.json").read_text(encoding="utf-8"))
    assert record["alpha"] == 0.75


def test_old_commands_are_hidden_from_the_help():
    words = run("--help").stdout.split()
    assert "interpolate" in words
    assert "pretrain-embedded" in words
    assert "blend" not in words
    assert "embedded" not in [words[i] for i, word in enumerate(words) if words[i - 1] == "│"]
