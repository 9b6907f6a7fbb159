"""Run commands in forked processes, so that libraries are imported once, with limits."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from maniplvm.process import end_with_parent

Item = TypeVar("Item")
_MIB = 2**20
_TRACEBACK = "Traceback (most recent call last)"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Outcome:
    """What a forked process did.

    Attributes:
        status: Exit status; negative for a signal; None if it was killed at its time limit.
        out: Standard output.
        err: Standard error.
        seconds: How long it ran [s].
    """

    status: int | None
    out: str
    err: str
    seconds: float


def run_forked(work: Callable[[], Any], limit_s: float, memory_mb: int, folder: Path) -> Outcome:
    """Run a function in a forked process.

    Args:
        work: The function. `SystemExit` sets the status.
        limit_s: Time after which the process is killed [s].
        memory_mb: Memory that it may take beyond that of this process [MiB].
        folder: Folder for its output.
    """
    with (
        tempfile.TemporaryFile("w+b", dir=folder) as out,
        tempfile.TemporaryFile("w+b", dir=folder) as err,
    ):
        parent, start = os.getpid(), time.monotonic()
        child = os.fork()
        if child == 0:
            _run_child(work, memory_mb, out.fileno(), err.fileno(), parent)
        status = _wait(child, start + limit_s)
        seconds = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        return Outcome(
            status,
            out.read().decode(errors="surrogateescape"),
            err.read().decode(errors="surrogateescape"),
            seconds,
        )


def run_command(arguments: Sequence[str], limit_s: float, memory_mb: int, folder: Path) -> Outcome:
    """Run a `maniplvm` command in a forked process."""

    def work() -> None:
        from maniplvm.cli import main

        sys.argv = ["maniplvm", *arguments]
        main()

    return run_forked(work, limit_s, memory_mb, folder)


def user_error_fault(outcome: Outcome) -> str | None:
    """Why an outcome is not a clean user error: one line, status 2; None if it is."""
    fault = output_fault(outcome)
    if fault is not None:
        return fault
    lines = outcome.err.strip().splitlines()
    if outcome.status != 2:
        return f"status {outcome.status}, not 2: {outcome.err[-200:]!r}"
    if not lines or not lines[-1].startswith("maniplvm: "):
        return f"no line that starts with 'maniplvm: ': {outcome.err[-200:]!r}"
    return f"{len(lines[-1])} characters in its line" if len(lines[-1]) > 2000 else None


def output_fault(outcome: Outcome) -> str | None:
    """Why the output of a command is wrong whatever its status; None if it is not."""
    if outcome.status is None:
        return f"killed after {outcome.seconds:.0f} s"
    if _TRACEBACK in outcome.err + outcome.out:
        return f"traceback: {outcome.err[-400:]!r}"
    found = _CONTROLS.search(outcome.out + outcome.err)
    return f"control character {found[0]!r} in the output" if found else None


def in_processes(work: Callable[[Item], Any], items: Iterable[Item], jobs: int) -> list[Any]:
    """Results of a function for all items, in their order, from forked processes.

    Args:
        work: The function.
        items: The items.
        jobs: Processes at the same time.
    """
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        return pool.map(work, items, chunksize=1)


def _run_child(work: Callable[[], Any], memory_mb: int, out: int, err: int, parent: int) -> None:
    status = 1
    try:
        end_with_parent(parent)
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = taken + memory_mb * _MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        with redirect_stderr(sys.stderr):
            work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _wait(child: int, deadline: float) -> int | None:
    pause = 0.002
    while time.monotonic() < deadline:
        done, state = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(state)
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
