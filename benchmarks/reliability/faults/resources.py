"""Commands that run out of disk, memory or permission, read cut files, meet, or get a signal.

Each must end with success, or with one line and the right status. Nothing may be lost: the same
command without the fault gives the result of an uninterrupted command.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.reliability.faults import limits, meetings, truncation
from benchmarks.reliability.faults.forked import HEAVY, LIGHT
from benchmarks.reliability.faults.forked import run as run_command
from benchmarks.reliability.faults.inputs import write_inputs
from benchmarks.reliability.faults.judging import Attempts
from benchmarks.reliability.faults.small_commands import Finished, all_commands
from benchmarks.reliability.faults.workers import worker_pool
from benchmarks.reliability.result import PartResult, Settings

_FIRST = ("sft", "evaluate")
"""Commands whose output others read."""
_LIGHT = ("import", "show", "score", "sheet", "compare", "export", "rescore")
_MEDIUM = ("interpolate", "predict", "report")
_HEAVY = ("sft", "evaluate", "simulate", "pretrain")
SIGNALLED = {
    "import": 8,
    "score": 4,
    "interpolate": 4,
    "report": 4,
    "sft": 4,
    "grpo": 2,
    "evaluate": 4,
    "simulate": 4,
    "experiment": 2,
}
"""Number of signals to each command."""
MEETING = {
    "import": 4,
    "export": 3,
    "interpolate": 3,
    "evaluate": 2,
    "sft": 2,
    "simulate": 2,
    "score": 3,
    "pretrain": 1,
}
"""Number of pairs of processes of each command."""
STARTS = 6


def run(settings: Settings) -> PartResult:
    """Run all kinds of attempts."""
    inputs = write_inputs(settings.folder / "inputs")
    at = Finished(inputs, settings.folder / "finished")
    result = PartResult()
    with worker_pool(settings.jobs, LIGHT if settings.quick else (*LIGHT, *HEAVY)) as pool:
        start = _quick if settings.quick else _whole
        counted = list[Attempts]()
        for future in as_completed(start(pool, at, settings.folder, settings.seed)):
            own = future.result()
            counted.append(own)
            print(f"{own.kind}: {own.tried} tried, {len(own.failures)} lost", flush=True)
    kinds: dict[str, dict[str, int]] = {}
    for attempts in sorted(counted, key=lambda each: each.kind):
        for _ in range(attempts.tried - len(attempts.failures)):
            result.record(None)
        for failure in attempts.failures:
            result.record(failure)
        counts = kinds.setdefault(attempts.kind, {"tried": 0, "lost": 0})
        counts["tried"] += attempts.tried
        counts["lost"] += len(attempts.failures)
        for status, count in sorted(attempts.statuses.items()):
            counts[f"status {status}"] = counts.get(f"status {status}", 0) + count
    result.details["kinds"] = kinds
    return result


def prepare(at: Finished, names: Sequence[str]) -> None:
    """Run commands without any fault; their outputs are the expected ones.

    Raises:
        RuntimeError: a command fails.
    """
    for name in names:
        writer = all_commands(at)[name]
        out = at.output(writer)
        out.parent.mkdir(parents=True)
        command = run_command(writer.arguments(out), at.folder / f"{name}.txt")
        if command.wait(0) != 0:
            raise RuntimeError(f"{name} fails without a fault: {command.lines}")
    if "sft" in names:
        _interrupted_run(at)


def _interrupted_run(at: Finished) -> None:
    """A copy of the SFT run as it was before its last steps."""
    half = at.folder / "sft-half" / "out"
    shutil.copytree(at.run, half)
    shutil.rmtree(half / "model")
    (half / "run.json").write_text(
        (at.run / "run.json").read_text("utf-8").replace('"finished": true', '"finished": false'),
        encoding="utf-8",
    )
    shutil.rmtree(half / "checkpoints" / "checkpoint-6")


def _quick(
    pool: ProcessPoolExecutor, at: Finished, folder: Path, seed: int
) -> list[Future[Attempts]]:
    names = ("import", "show")
    pool.submit(prepare, at, names).result()
    return [
        pool.submit(limits.small_files, at, ("import",), folder / "files"),
        pool.submit(limits.no_output, at, names, folder / "output"),
        pool.submit(limits.no_permission, at, names, folder / "permission"),
        pool.submit(meetings.two_writers, at, "import", 2, folder / "meeting", seed),
        pool.submit(meetings.signalled, at, "import", 2, folder / "signals", seed),
    ]


def _whole(
    pool: ProcessPoolExecutor, at: Finished, folder: Path, seed: int
) -> list[Future[Attempts]]:
    for future in [pool.submit(prepare, at, (name,)) for name in _FIRST]:
        future.result()
    rest = [name for name in all_commands(at) if name not in (*_FIRST, "quickstart")]
    for future in [pool.submit(prepare, at, (name,)) for name in rest]:
        future.result()
    running = list[Future[Attempts]]()

    def submit(work: Callable[..., Attempts], *arguments: object) -> None:
        running.append(pool.submit(work, *arguments))

    for name, count in SIGNALLED.items():
        submit(meetings.signalled, at, name, count, folder / f"signals-{name}", seed)
    for name, count in MEETING.items():
        submit(meetings.two_writers, at, name, count, folder / f"meeting-{name}", seed)
    for kind in truncation.readers(at):
        submit(truncation.cut_files, at, kind, folder / f"cut-{kind.replace(' ', '-')}")
    for number, names in enumerate((_LIGHT, _MEDIUM, *((name,) for name in _HEAVY))):
        submit(limits.small_files, at, names, folder / f"files-{number}")
        submit(limits.little_memory, at, names, folder / f"memory-{number}")
    submit(limits.small_disks, at, ("import", "score", "interpolate", "sft"), folder / "disks")
    submit(limits.no_permission, at, (*_LIGHT, *_MEDIUM, *_HEAVY), folder / "permission")
    submit(limits.no_output, at, (*_LIGHT, *_MEDIUM, "sft", "evaluate"), folder / "output")
    submit(meetings.signalled_at_start, at, STARTS, folder / "start", seed)
    return running
