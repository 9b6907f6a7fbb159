"""Two processes with one output, and signals at random instants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmarks.reliability.faults.commands import Writer
from benchmarks.reliability.faults.forked import ROOT, Command, run
from benchmarks.reliability.faults.judging import Attempts, bad_end, difference, finish, is_done
from benchmarks.reliability.faults.small_commands import Finished, all_commands

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
_TIME_LIMIT = 900.0
_STARTUP_SECONDS = 6.0
_ORPHAN_SECONDS = 20.0


def two_writers(at: Finished, name: str, count: int, folder: Path, seed: int) -> Attempts:
    """Start a command twice on one output, the second at a random instant of the first."""
    attempts = Attempts("two writers")
    folder.mkdir(parents=True)
    writer, rng = all_commands(at)[name], _generator(seed, name)
    seconds = _seconds(writer, folder)
    for number in range(count):
        out = folder / str(number) / writer.output
        out.parent.mkdir()
        delay = float(rng.uniform(0, seconds * 0.8))
        first = Command(writer.arguments(out), folder / "first.txt")
        first.wait(delay)
        second = Command(writer.arguments(out), folder / "second.txt")
        both = (first, second)
        failure = None
        for command in both:
            if command.wait(_TIME_LIMIT) is None:
                command.kill()
            failure = failure or bad_end(command)
        if failure is None and not any(each.wait(0) == 0 for each in both):
            failure = f"neither succeeds: {first.lines} {second.lines}"
        failure = failure or difference(writer, out, at.output(writer))
        attempts.record(second, failure, f"{name}, after {delay:.3f} s")
        shutil.rmtree(out.parent)
    return attempts


def signalled(at: Finished, name: str, count: int, folder: Path, seed: int) -> Attempts:
    """Send Ctrl-C or SIGTERM at a random instant, then run the command to its end."""
    attempts = Attempts("signals")
    folder.mkdir(parents=True)
    writer, rng = all_commands(at)[name], _generator(seed, name)
    seconds = _seconds(writer, folder)
    for number in range(count):
        out = folder / str(number) / writer.output
        out.parent.mkdir()
        sent = list(SIGNALS)[number % len(SIGNALS)]
        delay = float(rng.uniform(0, seconds))
        command = Command(writer.arguments(out), folder / "log.txt")
        if command.wait(delay) is None:
            command.send(sent)
        if command.wait(_TIME_LIMIT) is None:
            command.kill()
        failure = bad_end(command, (0, SIGNALS[sent]))
        if failure is not None and is_done(writer, command):
            failure = None
        if orphans := command.orphans(_ORPHAN_SECONDS):
            failure = failure or f"{len(orphans)} processes are left"
            os.killpg(command.pid, signal.SIGKILL)
        failure = failure or finish(writer, out, at.output(writer), folder / "log.txt")
        attempts.record(command, failure, f"{name}, {sent.name} after {delay:.3f} s")
        shutil.rmtree(out.parent)
    return attempts


def signalled_at_start(at: Finished, count: int, folder: Path, seed: int) -> Attempts:
    """Send a signal to a new interpreter that imports its packages."""
    attempts = Attempts("signals at start")
    folder.mkdir(parents=True)
    rng = _generator(seed, "start")
    words = all_commands(at)["sft"].arguments(folder / "out")
    for number in range(count):
        sent = list(SIGNALS)[number % len(SIGNALS)]
        delay = float(rng.uniform(0.1, _STARTUP_SECONDS))
        failure = _start_and_signal(words, sent, delay)
        attempts.tried += 1
        if failure is not None:
            attempts.failures.append(f"start, {sent.name} after {delay:.3f} s: {failure}")
        shutil.rmtree(folder / "out", ignore_errors=True)
    return attempts


def _start_and_signal(words: Sequence[str], sent: signal.Signals, delay: float) -> str | None:
    process = subprocess.Popen(
        [sys.executable, "-m", "maniplvm", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(delay)
    process.send_signal(sent)
    _, printed = process.communicate(timeout=_TIME_LIMIT)
    code = process.returncode
    status = 128 - code if code < 0 else code
    if status != SIGNALS[sent]:
        return f"status {status}: {printed[-300:]}"
    if "Traceback" in printed and "/maniplvm/" in printed:
        return f"traceback: {printed[-300:]}"
    return None


def _seconds(writer: Writer, folder: Path) -> float:
    """Time of the command [s]."""
    out = folder / "timed" / writer.output
    out.parent.mkdir()
    started = time.monotonic()
    run(writer.arguments(out), folder / "log.txt")
    seconds = time.monotonic() - started
    shutil.rmtree(out.parent)
    return seconds


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
