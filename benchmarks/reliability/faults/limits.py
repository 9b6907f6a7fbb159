"""Commands on a full disk, without memory, without permission, and without standard output."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.faults.commands import Writer
from benchmarks.reliability.faults.forked import Conditions, run
from benchmarks.reliability.faults.judging import (
    ABORTED,
    Attempts,
    attempt,
    bad_end,
    finish,
)
from benchmarks.reliability.faults.small_commands import Finished, all_commands

FILE_BYTES = (1_500, 30_000, 400_000, 4_000_000)
"""Largest size of a written file [bytes]."""
DISK_BYTES = (16, 256, 8_192)
"""Sizes of a small file system [KiB]."""
MEMORY_BYTES = (2**16, 2**21, 2**24, 2**28)
"""Memory that a command may map beyond its imported packages [bytes]."""


def small_files(at: Finished, names: Sequence[str], folder: Path) -> Attempts:
    """Limit the size of every written file (`RLIMIT_FSIZE`), then run without the limit."""
    attempts = Attempts("small files")
    folder.mkdir(parents=True)
    for writer in _chosen(at, names):
        for size in FILE_BYTES:
            conditions = Conditions(limits={"RLIMIT_FSIZE": size})
            _attempt(attempts, writer, at, folder, conditions, f"{size} bytes")
    return attempts


def small_disks(at: Finished, names: Sequence[str], folder: Path) -> Attempts:
    """Write to a small file system, then enlarge it and run again; needs the right to mount."""
    attempts = Attempts("small disk")
    folder.mkdir(parents=True)
    for writer in _chosen(at, names):
        for size in DISK_BYTES:
            place = folder / "disk"
            place.mkdir()
            with _file_system(place, size) as is_mounted:
                if not is_mounted:
                    return attempts
                out, log = place / writer.output, folder / "log.txt"
                command = run(writer.arguments(out), log)
                failure = bad_end(command)
                _mount("-o", "remount,size=256m", str(place))
                failure = failure or finish(writer, out, at.output(writer), log)
            attempts.record(command, failure, f"{writer.name}, {size} KiB")
            place.rmdir()
    return attempts


def little_memory(at: Finished, names: Sequence[str], folder: Path) -> Attempts:
    """Limit the address space (`RLIMIT_AS`), then run without the limit."""
    attempts = Attempts("little memory")
    folder.mkdir(parents=True)
    for writer in _chosen(at, names):
        for size in MEMORY_BYTES:
            conditions = Conditions(extra_memory=size)
            _attempt(attempts, writer, at, folder, conditions, f"{size} bytes", (0, 2, *ABORTED))
    return attempts


def no_permission(at: Finished, names: Sequence[str], folder: Path) -> Attempts:
    """Write into a folder that the user may read but not write."""
    attempts = Attempts("no permission")
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    for writer in _chosen(at, names):
        place = folder / writer.name
        place.mkdir(mode=0o555)
        out = place / writer.output
        command = run(writer.arguments(out), log, Conditions(drops_rights=True))
        failure = bad_end(command, (2,))
        if failure is None and str(place) not in command.lines[-1]:
            failure = f"it does not name the folder: {command.lines[-1]}"
        if failure is None and list(place.iterdir()):
            failure = "it wrote a file"
        attempts.record(command, failure, writer.name)
    return attempts


def no_output(at: Finished, names: Sequence[str], folder: Path) -> Attempts:
    """Close standard output, or send it to a full device."""
    attempts = Attempts("no standard output")
    folder.mkdir(parents=True)
    for writer in _chosen(at, names):
        for stdout in ("closed", "/dev/full"):
            _attempt(attempts, writer, at, folder, Conditions(stdout=stdout), stdout)
    return attempts


def _attempt(
    attempts: Attempts,
    writer: Writer,
    at: Finished,
    folder: Path,
    conditions: Conditions,
    what: str,
    allowed: Sequence[int] = (0, 2),
) -> None:
    out = folder / writer.name / writer.output
    out.parent.mkdir()
    log = folder / "log.txt"
    command, failure = attempt(writer, out, at.output(writer), log, conditions, allowed)
    attempts.record(command, failure, f"{writer.name}, {what}")
    shutil.rmtree(out.parent)


def _chosen(at: Finished, names: Sequence[str]) -> list[Writer]:
    commands: Mapping[str, Writer] = all_commands(at)
    return [commands[name] for name in names]


@contextmanager
def _file_system(place: Path, size: int) -> Generator[bool]:
    is_mounted = _mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place))
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(place)], check=True)


def _mount(*words: str) -> bool:
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    return done.returncode == 0
