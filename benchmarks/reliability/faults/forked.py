"""Runs the real `maniplvm` command in forked children of a process that has imported its packages.

A new process would import PyTorch for five seconds before it does anything. A forked child starts
at once, in a session of its own. `SIGKILL` of its process group is therefore the same as for a
command of the shell. The stages of experiments are forked too.

Fork only from a process without other threads.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[3]
_POLL_SECONDS = 0.005
_CAPABILITY_VERSION = 0x20080522
HEAVY = (
    "torch",
    "transformers",
    "trl",
    "maniplvm.training.loop.run",
    "maniplvm.training.loop.trainers",
    "maniplvm.training.shared_prefix",
    "maniplvm.evaluation.report",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
)
LIGHT = ("maniplvm.cli.app", "pyarrow.parquet", "PIL.Image")


@dataclass(frozen=True)
class Conditions:
    """Conditions of a command.

    Attributes:
        limits: Soft limits by resource name, such as `RLIMIT_FSIZE` [bytes].
        extra_memory: Memory that the command may map beyond that of its parent [bytes].
        drops_rights: Whether root's right to write everywhere is dropped.
        stdout: Path that standard output is written to; `closed` for none.
    """

    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    extra_memory: int | None = None
    drops_rights: bool = False
    stdout: str | None = None


class Command:
    """A running command.

    Args:
        arguments: The arguments of `maniplvm`.
        output: File for standard output. Standard error goes to the same name with `.err`.
        conditions: Conditions of the process.
    """

    def __init__(
        self, arguments: Sequence[str], output: Path, conditions: Conditions | None = None
    ) -> None:
        self.arguments = list(arguments)
        self.output = output
        self._status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _in_child(lambda: _become(self.arguments, output, conditions or Conditions()))

    def wait(self, seconds: float) -> int | None:
        """The exit status as a shell shows it; None if the command still runs after this time."""
        deadline = time.monotonic() + seconds
        while self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = 128 - code if code < 0 else code
            elif time.monotonic() > deadline:
                return None
            else:
                time.sleep(_POLL_SECONDS)
        return self._status

    def send(self, number: int) -> None:
        """Send a signal: SIGTERM to the command alone, as job queues do, others to its group."""
        if self._status is None and number == signal.SIGTERM:
            os.kill(self.pid, number)
        elif self._status is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # before the child has its own session
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process group at once."""
        self.send(signal.SIGKILL)
        self.wait(60)

    def orphans(self, seconds: float) -> list[int]:
        """Processes of the group that still run this time after the command has ended."""
        deadline = time.monotonic() + seconds
        while (found := _running(self.pid)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return found

    @property
    def lines(self) -> list[str]:
        """The lines of standard error that are not empty."""
        text = _errors_of(self.output).read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()]


def run(
    arguments: Sequence[str],
    output: Path,
    conditions: Conditions | None = None,
    seconds: float = 900,
) -> Command:
    """Run a command to its end; after a time limit it is killed (status 137)."""
    command = Command(arguments, output, conditions)
    if command.wait(seconds) is None:
        command.kill()
    return command


def _running(group: int) -> list[int]:
    """Processes of a group, without those that have ended and that nobody has waited for."""
    found = list[int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own_group, *_ = path.read_text("utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended in the meantime
            continue
        if int(own_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def _errors_of(output: Path) -> Path:
    return output.with_name(output.name + ".err")


def _in_child(work: Callable[[], None]) -> NoReturn:
    try:
        work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _become(arguments: list[str], output: Path, conditions: Conditions) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, number in ((output, 1), (_errors_of(output), 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    if conditions.stdout == "closed":
        os.close(1)
        sys.stdout = None  # type: ignore[assignment] - as Python does for a closed descriptor
    elif conditions.stdout is not None:
        os.dup2(os.open(conditions.stdout, os.O_WRONLY), 1)
    os.chdir(ROOT)
    if conditions.drops_rights:
        _drop_capabilities()
    limits = dict(conditions.limits)
    if conditions.extra_memory is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        limits["RLIMIT_AS"] = pages * resource.getpagesize() + conditions.extra_memory
    for name, value in limits.items():
        number = getattr(resource, name)
        resource.setrlimit(number, (value, resource.getrlimit(number)[1]))
    _fork_stages()
    _run_main(arguments)


def _drop_capabilities() -> None:
    """Make file permissions also count for root (capset(2), with no capability)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def _run_main(arguments: list[str]) -> NoReturn:
    """Run the command line, and end as the interpreter would."""
    from maniplvm.cli import main

    sys.argv = ["maniplvm", *arguments]
    sys.modules["__main__"] = ModuleType("__main__")
    status: Any = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def _fork_stages() -> None:
    """Let experiments fork their stages in place of starting new interpreters."""
    if "maniplvm.experiments.stages" in sys.modules:
        from maniplvm.experiments import stages

        known = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
        stages.subprocess = SimpleNamespace(Popen=_ForkedStage, **known)  # type: ignore[attr-defined]


class _ForkedStage:
    """What `experiments.stages` uses of `subprocess.Popen`, for a forked `maniplvm` command."""

    def __init__(
        self,
        words: Sequence[str],
        stdout: Any = None,
        stderr: Any = None,
        env: Mapping[str, str] | None = None,
        **_: Any,
    ) -> None:
        if sys.stdout is not None:
            sys.stdout.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if stdout is not None and stderr is not None:
                os.dup2(stdout.fileno(), 1)
                os.dup2(stderr.fileno(), 2)
            os.environ.update(env or {})
            arguments = list(words[words.index("maniplvm") + 1 :])
            _in_child(lambda: _run_main(arguments))

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("maniplvm", timeout or 0)
            else:
                time.sleep(_POLL_SECONDS)
        return self.returncode

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)
