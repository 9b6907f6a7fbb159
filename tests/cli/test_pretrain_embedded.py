import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

from maniplvm.cli.app import app
from maniplvm.embedded import pretraining
from maniplvm.errors import UserError


@pytest.fixture
def built(monkeypatch):
    """Arguments of the calls that would build a checkpoint."""
    calls = []

    def build(data, split, config, out, report, *, processes):
        calls.append((str(data), split, config, processes))
        return out / "model"

    monkeypatch.setattr(pretraining, "build_checkpoint", build)
    return calls


OPTIONS = ["--data", "d", "--out", "o", "--steps", "8", "--cycles", "2", "--batch", "4"]


def test_the_old_command_runs_the_new_one_with_one_line_of_notice(built):
    new = CliRunner().invoke(app, ["pretrain-embedded", *OPTIONS])
    old = CliRunner().invoke(app, ["embedded", *OPTIONS])
    assert new.exit_code == old.exit_code == 0
    assert built[0] == built[1]
    assert (built[0][2].steps, built[0][2].cycles, built[0][2].batch) == (8, 2, 4)
    notice = "maniplvm: `embedded` is deprecated, use `pretrain-embedded`\n"
    assert old.stderr == notice + new.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], "must be at least 1"),
        (["--steps", "7"], "cannot be divided into 2 equal --cycles"),
    ],
)
def test_invalid_numbers_of_steps_are_refused(built, options, words):
    result = CliRunner().invoke(app, ["pretrain-embedded", *OPTIONS, *options])
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)
    assert not built
