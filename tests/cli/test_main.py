"""Exit statuses and the one-line errors of the whole command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maniplvm.cli import main

ROOT = Path(__file__).parents[2]
INFO = [sys.executable, "-m", "maniplvm", "data", "info", str(ROOT / "datasets" / "sim-small")]


def run(shell):
    return subprocess.run(
        ["bash", "-c", shell, "bash", *INFO], capture_output=True, text=True, check=False
    )


def test_the_help_lists_the_exit_statuses():
    command = [sys.executable, "-m", "maniplvm", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "2 error, 130 Ctrl-C, 143 SIGTERM" in " ".join(printed.split())


def test_a_closed_standard_output_is_an_error():
    done = run('"$@" >&-')
    assert done.returncode == 2
    assert done.stderr == (
        "maniplvm: standard output is closed; redirect it, for example to /dev/null\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_is_one_line():
    done = run('"$@" > /dev/full')
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_reader_that_stops_early_gives_no_traceback():
    done = run('"$@" | head -c 1 > /dev/null; echo "${PIPESTATUS[0]}"')
    assert done.stdout.strip() in ("0", "1")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/data/out"), "/data/out: No space left on device"),
        (PermissionError(13, "Permission denied", "/data/out"), "/data/out: Permission denied"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_an_error_of_the_operating_system_is_one_line(monkeypatch, capsys, error, line):
    def fail(**_):
        raise error

    monkeypatch.setattr("maniplvm.cli.app.app", fail)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"maniplvm: {line}")
    assert printed.count("\n") == 1


def test_an_error_without_a_system_message_keeps_its_traceback(monkeypatch):
    def fail(**_):
        raise OSError("a defect of the package")

    monkeypatch.setattr("maniplvm.cli.app.app", fail)
    with pytest.raises(OSError, match="a defect"):
        main()
