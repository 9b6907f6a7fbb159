"""Commands of a launch: their exit status and signals are passed on, and none is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest

from maniplvm.errors import UserError
from maniplvm.training.launching.commands import Command
from maniplvm.training.launching.processes import run_commands

# Starts a child that ignores signals, in a session of its own as torchrun does.
STUBBORN = """
import signal, subprocess, sys, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
open(sys.argv[1], "w").write(str(child.pid))
{then}
"""


def python(code, *arguments):
    return Command((sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)))


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("code", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_status_of_the_training_is_returned(code, status):
    assert run_commands(python(code)) == status


def test_the_server_is_stopped_after_the_training(tmp_path):
    pid = tmp_path / "pid"
    server = python(
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    training = python(f"import os, time\nwhile not os.path.exists({str(pid)!r}): time.sleep(.01)")
    assert run_commands(training, server) == 0
    assert is_gone(int(pid.read_text() or 0))


def test_a_server_that_ends_first_stops_the_training(tmp_path):
    lines = []
    start = time.monotonic()
    status = run_commands(
        python("import time; time.sleep(60)"), python("exit(5)"), report=lines.append
    )
    assert (status, len(lines)) == (5, 1)
    assert "the vLLM server ended with status 5" in lines[0]
    assert time.monotonic() - start < 30


def test_a_grandchild_that_ignores_signals_is_killed(tmp_path):
    pid = tmp_path / "pid"
    assert run_commands(python(STUBBORN.format(then=""), pid), grace=0.3) == 0
    assert is_gone(int(pid.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_training_and_its_status_is_returned(tmp_path, number):
    ready = tmp_path / "ready"
    code = f"""
    import signal, time
    signal.signal({int(number)}, lambda *_: exit(40))
    open({str(ready)!r}, "w").close()
    time.sleep(60)
    """

    def send():
        wait_for(ready.exists)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    sender = threading.Thread(target=send)
    sender.start()
    assert run_commands(python(code)) == 40
    sender.join()
    assert signal.getsignal(number) is before


def test_no_process_outlives_a_launch_that_is_killed(tmp_path):
    pid = tmp_path / "pid"
    then = f"""
def end(*_):
    child.kill()
    sys.exit()
signal.signal(signal.SIGTERM, end)
open({str(tmp_path / "ready")!r}, "w").close()
time.sleep(60)
"""
    launcher = f"""
from maniplvm.training.launching.commands import Command
from maniplvm.training.launching.processes import run_commands
run_commands(Command(({sys.executable!r}, "-c", {STUBBORN.format(then=then)!r}, {str(pid)!r})))
"""
    run = subprocess.Popen([sys.executable, "-c", launcher])
    wait_for((tmp_path / "ready").exists)
    run.kill()
    run.wait()
    wait_for(lambda: is_gone(int(pid.read_text())))


def test_a_program_that_is_missing_is_one_line():
    with pytest.raises(UserError, match="no-such-program: no such program"):
        run_commands(Command(("no-such-program",)))


def test_children_of_others_are_left_alone():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        run_commands(python(""))
        assert other.poll() is None
        other.kill()
