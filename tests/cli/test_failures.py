"""Errors of native libraries for a full disk or missing memory, and signals."""

import signal
import subprocess
import sys
import time

import pytest

from maniplvm.cli.failures import NO_MEMORY, system_failure

FULL = "No space left on device"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        ValueError("Error: engine error: Could not allocate memory"),  # MuJoCo
    ],
)
def test_missing_memory_has_one_message(error):
    assert system_failure(error) == NO_MEMORY


def test_a_full_disk_is_named_whatever_library_met_it():
    assert FULL in str(system_failure(OSError(28, FULL, "/data/out")))
    assert FULL in str(system_failure(Exception(f"{FULL} (os error 28)")))
    assert "full" in str(system_failure(RuntimeError("PytorchStreamWriter failed writing file")))


def test_the_cause_of_an_error_counts():
    error = ValueError("cannot save")
    error.__cause__ = OSError(28, FULL, "/data/out")
    assert str(system_failure(error)).startswith("/data/out: No space")


def test_a_defect_of_the_package_is_no_failure_of_the_machine():
    assert system_failure(KeyError("name")) is None
    assert system_failure(ValueError("a shape differs")) is None


CODE = """
import sys, time
from maniplvm import cli
from maniplvm.cli import app
def work(**_):
    print("working", flush=True)
    BODY
app.app = work
cli.main()
"""


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(60)",
        # an import of a native library can turn the interruption into an error of its own
        "exec('try: time.sleep(60)\\nexcept BaseException: raise ImportError(7)')",
    ],
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_one_line_and_the_status_of_the_shell(number, status, body):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE.replace("BODY", body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell may have started the tests in the background, where SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.05)
    process.send_signal(number)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == status
    assert printed.startswith("maniplvm: interrupted")
    assert printed.count("\n") == 1
