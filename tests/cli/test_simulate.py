from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("metaworld")

from maniplvm.cli.simulate import simulate
from maniplvm.data import open_dataset
from maniplvm.errors import UserError

pytestmark = pytest.mark.sim

app = typer.Typer()
app.command()(simulate)


def run(*options):
    result = CliRunner().invoke(app, [str(option) for option in options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.gl
def test_the_command_writes_a_data_set(tmp_path):
    out = tmp_path / "data"
    result = run(
        *("--out", out, "--tasks", "push-v3", "--splits", "train,id_test"),
        *("--per-task", "1", "--per-task", "train=2", "--views", 1, "--size", 64),
        *("--disable-randomization", "textures,distractors", "--name", "small"),
    )
    assert result.exit_code == 0
    dataset = open_dataset(out)
    assert dataset.info.name == "small"
    assert dict(dataset.info.counts) == {
        "train": {"affordance": 2, "trajectory": 2},
        "id_test": {"affordance": 1, "trajectory": 1},
    }
    assert dataset.info.extra["plan"]["variety"]["textures"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--world", "isaac"), "metaworld, robosuite"),
        (("--splits", "validation"), "id_test"),
        (("--splits", "ood_robot"), "world metaworld has no split"),
        (("--tasks", "fold-laundry"), "fold-laundry"),
        (("--per-task", "many"), "--per-task"),
        (("--per-task", "adapt2=3"), "--per-task"),
        (("--disable-randomization", "weather"), "weather"),
        (("--plain", "weather"), "weather"),
        (("--per-task", "0"), "no scenes are requested; raise --per-task"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_an_invalid_option_is_a_one_line_error_that_names_the_choices(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run("--out", tmp_path / "data", *options)


def test_the_deprecated_option_still_works_with_a_notice_and_is_hidden(capfd):
    with pytest.raises(UserError, match="unknown kind of randomization 'weather'"):
        simulate(out=Path("unused"), plain="weather")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "`--plain` is deprecated" in lines[0]
    assert "--disable-randomization" in lines[0]
    help_text = run("--help").output
    assert "--disable-randomization" in help_text
    assert "--plain" not in help_text
