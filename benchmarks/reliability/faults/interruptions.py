"""Kill every command that writes at random instants, run it again, and compare the result.

The process group is killed with SIGKILL. Several kills follow each other on one output. The same
command line then runs to its end. Its output must equal that of an uninterrupted command, without
unfinished files.
"""

from __future__ import annotations

import shutil
import time
import zlib
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.reliability.faults.commands import Writer, interruptible_commands
from benchmarks.reliability.faults.forked import HEAVY, LIGHT, Command
from benchmarks.reliability.faults.forked import run as run_command
from benchmarks.reliability.faults.inputs import Inputs, write_inputs
from benchmarks.reliability.faults.judging import difference, is_done
from benchmarks.reliability.faults.workers import worker_pool
from benchmarks.reliability.result import PartResult, Settings

KILLS = {
    "quickstart": 20,
    "experiment": 20,
    "grpo": 20,
    "evaluate": 20,
    "sft": 20,
    "simulate": 20,
    "import": 30,
}
"""Kills of each command. The longest commands come first."""
QUICK_KILLS = {"import": 4}
_CHAIN = 5
"""Kills of one output at most."""
_TIME_LIMIT = 900.0


@dataclass(frozen=True)
class Report:
    """Kills of one command.

    Attributes:
        name: Name of the command.
        kills: Number of kills.
        seconds: Time of the uninterrupted command [s].
        failures: One line for each output that was lost.
    """

    name: str
    kills: int
    seconds: float
    failures: tuple[str, ...]


def run(settings: Settings) -> PartResult:
    """Kill all commands."""
    inputs = write_inputs(settings.folder / "inputs")
    wanted = QUICK_KILLS if settings.quick else KILLS
    result = PartResult()
    with worker_pool(settings.jobs, LIGHT if settings.quick else (*LIGHT, *HEAVY)) as pool:
        running = [
            pool.submit(kill_command, inputs.folder, settings.folder, name, kills, settings.seed)
            for name, kills in wanted.items()
        ]
        reports = list[Report]()
        for future in as_completed(running):
            report = future.result()
            reports.append(report)
            print(f"{report.name}: {report.kills} kills, {len(report.failures)} lost", flush=True)
    for report in sorted(reports, key=lambda each: each.name):
        for _ in range(report.kills - len(report.failures)):
            result.record(None)
        for failure in report.failures:
            result.record(failure)
        result.details[report.name] = {
            "kills": report.kills,
            "lost": len(report.failures),
            "uninterrupted_seconds": round(report.seconds, 2),
        }
    return result


def kill_command(inputs: Path, folder: Path, name: str, kills: int, seed: int) -> Report:
    """Kill one command again and again.

    Args:
        inputs: Folder of the inputs.
        folder: Folder for outputs.
        name: Name of the command.
        kills: Number of kills.
        seed: Seed of the instants.
    """
    writer = interruptible_commands(Inputs(inputs))[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    expected, log = folder / f"{name}-expected" / writer.output, folder / f"{name}.txt"
    expected.parent.mkdir()
    started = time.monotonic()
    whole = run_command(writer.arguments(expected), log, seconds=_TIME_LIMIT)
    seconds = time.monotonic() - started
    if whole.wait(0) != 0:
        return Report(name, 1, seconds, (f"{name} fails: {whole.lines[-1:]}",))
    failures, done, chain = list[str](), 0, 0
    while done < kills:
        out = folder / f"{name}-{chain}" / writer.output
        out.parent.mkdir()
        wanted = min(_CHAIN, kills - done)
        delays, failure = _kill_chain(writer, out, log, wanted, seconds, rng)
        failure = failure or difference(writer, out, expected)
        done += len(delays)
        chain += 1
        if failure is not None:
            at = ", ".join(f"{delay:.3f}" for delay in delays)
            failures.append(f"{name}, chain {chain}, killed after {at} s: {failure}")
        shutil.rmtree(out.parent)
    return Report(name, done, seconds, tuple(failures))


def _kill_chain(
    writer: Writer, out: Path, log: Path, kills: int, seconds: float, rng: np.random.Generator
) -> tuple[list[float], str | None]:
    """Kill a command several times on one output, then run it to its end."""
    delays = list[float]()
    while True:
        command = Command(writer.arguments(out), log)
        if len(delays) < kills:
            delay = float(rng.uniform(0, seconds * rng.choice([0.2, 1.0])))
            if command.wait(delay) is None:
                command.kill()
                delays.append(delay)
                continue
        if command.wait(_TIME_LIMIT) is None:
            command.kill()
            return delays, f"does not end within {_TIME_LIMIT:g} s"
        if command.wait(0) == 0 or is_done(writer, command):
            return delays, None
        return delays, f"status {command.wait(0)}: {' | '.join(command.lines[-2:]) or 'no output'}"
