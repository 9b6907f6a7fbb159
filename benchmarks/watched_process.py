"""Runs a Python function in a process of its own, samples its memory, and ends it above a limit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maniplvm.process import end_with_parent

GIB = 2**30
_INTERVAL = 0.02


@dataclass
class Recorder:
    """Intervals of a child process, by name; the times are those of the whole machine [s]."""

    intervals: list[tuple[str, float, float]] = field(default_factory=list)

    @contextmanager
    def interval(self, name: str) -> Iterator[None]:
        """Record the time that the block takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.intervals.append((name, start, time.monotonic()))


@dataclass(frozen=True)
class Watched:
    """What a process returned, and its memory.

    Attributes:
        value: The return value.
        intervals: The intervals that it recorded.
        samples: `(time [s], resident memory [bytes])`, every 20 ms. It includes the pages of the
            weight files, which the process uses without a copy.
    """

    value: Any
    intervals: list[tuple[str, float, float]]
    samples: list[tuple[float, int]]

    @property
    def peak(self) -> int:
        """The largest memory [bytes]."""
        return max(size for _, size in self.samples)

    def peak_in(self, name: str) -> int:
        """The largest memory during all intervals of a name [bytes]."""
        spans = [(start, end) for found, start, end in self.intervals if found == name]
        inside = [s for t, s in self.samples if any(start <= t <= end for start, end in spans)]
        return max(inside, default=0)

    def seconds(self, name: str) -> list[float]:
        """The lengths of all intervals of a name [s]."""
        return [round(end - start, 2) for found, start, end in self.intervals if found == name]


def run_watched(work: Callable[..., Any], *arguments: Any, limit: int) -> Watched:
    """Run `work(recorder, *arguments)` in a new process.

    Args:
        work: A function of a module; its return value can be pickled.
        arguments: Its further arguments.
        limit: Memory above which the process is ended [bytes].

    Raises:
        MemoryError: the process exceeded the limit, or the machine has almost no memory left.
        RuntimeError: the process failed; its traceback was printed.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(os.getpid(), sending, work, arguments))
    process.start()
    sending.close()
    pid, samples = process.pid or 0, list[tuple[float, int]]()
    try:
        while process.is_alive() and not receiving.poll(_INTERVAL):
            size = resident_bytes(pid)
            samples.append((time.monotonic(), size))
            if size > limit or available_bytes() < GIB // 2:
                raise MemoryError(
                    f"stopped at {size / GIB:.1f} GiB; the machine had "
                    f"{available_bytes() / GIB:.1f} GiB left"
                )
        try:
            value, intervals = receiving.recv()
        except EOFError as error:  # it ended without a result
            process.join(10)
            status = process.exitcode
            raise RuntimeError(f"the process failed with status {status}") from error
        process.join()
    finally:
        if process.is_alive():
            os.kill(pid, signal.SIGKILL)
            process.join()
    return Watched(value, intervals, samples)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process [bytes]; 0 once it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(found.get("VmRSS", "0 kB").split()[0]) * 1024


def available_bytes() -> int:
    """Memory that the machine can still give to processes [bytes]."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(found.split()[1]) * 1024


def _call(parent: int, sending: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    end_with_parent(parent)
    recorder = Recorder()
    value = work(recorder, *arguments)
    sending.send((value, recorder.intervals))
    sending.close()
