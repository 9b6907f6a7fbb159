import signal
import subprocess
import sys
import time
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


def children_of(pid):
    """The running child processes that work for a simulation."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = (path.parent / "cmdline").read_text()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and "spawn_main" in command:
            found.append(int(path.parent.name))
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.sim
@pytest.mark.gl
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_the_command_and_its_workers(tmp_path, number, status):
    command = [sys.executable, "-m", "maniplvm", "simulate", "--out", str(tmp_path / "set")]
    command += ["--per-task", "500", "--tasks", "push-v3,drawer-open-v3", "--size", "64"]
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--workers", "2"],
            stdin=subprocess.DEVNULL,
            stderr=file,
            # a shell may have started the tests in the background, where SIGINT is ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        deadline = time.monotonic() + 120
        while len(workers := children_of(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(workers) == 2
        process.send_signal(number)
        assert process.wait(120) == status
    finally:
        process.kill()
        process.wait()
    assert "/maniplvm/" not in log.read_text()  # no traceback of ours; glfw has a helper process
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))
