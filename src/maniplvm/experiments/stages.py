"""Chains of `maniplvm` commands. A rerun skips the finished commands."""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files import write_json
from maniplvm.process import peak_rss_mb

RECORDS = "stages.json"
_GRACE_SECONDS = 20.0
"""Time for a stage to end after SIGTERM [s]."""


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: Unique name within the experiment.
        arguments: The arguments of `maniplvm`.
        purpose: A short description for the terminal.
    """

    name: str
    arguments: tuple[str, ...]
    purpose: str

    @property
    def command(self) -> str:
        """The command line as a string."""
        return shlex.join(["maniplvm", *self.arguments])

    @property
    def words(self) -> list[str]:
        """The command line for a process of this Python interpreter."""
        return [sys.executable, "-m", "maniplvm", *self.arguments]


@dataclass(frozen=True)
class StageRecord:
    """Time and memory of a stage.

    Attributes:
        command: The command line.
        seconds: Wall time of all ended attempts [s].
        peak_rss_mb: Largest memory of any process so far [MB].
        finished: Whether the stage is finished.
    """

    command: str
    seconds: float
    peak_rss_mb: float
    finished: bool


class StageProcesses:
    """The running processes of stages, which end with the process that runs the stages."""

    def __init__(self) -> None:
        self._running: list[Any] = []
        self._is_terminated = False

    def run(self, stage: Stage, **options: Any) -> int:
        """Run a stage and return its exit status; it may be called in several threads.

        Args:
            stage: The stage.
            options: Options of `subprocess.Popen`.
        """
        process = subprocess.Popen(stage.words, **options)  # noqa: S603 - our own, no shell
        self._running.append(process)
        try:
            if self._is_terminated:
                process.terminate()
            return process.wait()
        except BaseException:  # a signal: the stage resumes when the command is run again
            _end(process)
            raise
        finally:
            self._running.remove(process)

    def terminate(self) -> None:
        """End all stages, and those that other threads still start."""
        self._is_terminated = True
        for process in tuple(self._running):
            process.terminate()


def _end(process: Any) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_in_foreground(stage: Stage) -> int:
    """Run a stage with its output on the terminal, and return its exit status."""
    return StageProcesses().run(stage)


def run_stages(
    stages: Sequence[Stage],
    folder: Path,
    announce: Callable[[Stage], None],
    launch: Callable[[Stage], int] = run_in_foreground,
    peak: Callable[[], float] = lambda: peak_rss_mb(resource.RUSAGE_CHILDREN),
) -> dict[str, StageRecord]:
    """Run the unfinished stages, and record time and memory in `stages.json`.

    Every stage resumes its own work, so the same call resumes an interrupted chain.

    Args:
        stages: The stages in order.
        folder: The folder of the records.
        announce: Called with every stage before it runs.
        launch: Runs a stage and returns its exit status.
        peak: Peak memory of the stages' processes so far [MB].

    Returns:
        The records by stage name.

    Raises:
        UserError: a stage failed, or the folder belongs to other stages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = read_records(folder)
    for stage in stages:
        known = records.get(stage.name)
        if known is not None:
            refuse_other(folder, stage, known)
            if known.finished:
                continue
        announce(stage)
        started = time.monotonic()
        spent = 0.0 if known is None else known.seconds
        _write_record(folder, records, stage, spent, peak(), finished=False)
        code = None
        try:
            code = launch(stage)
        finally:
            spent += time.monotonic() - started
            _write_record(folder, records, stage, spent, peak(), finished=code == 0)
        if code:
            raise UserError(
                f"stage {stage.name} ended with status {code}; run the same command again to resume"
            )
    return records


def _write_record(
    folder: Path,
    records: dict[str, StageRecord],
    stage: Stage,
    seconds: float,
    peak: float,
    *,
    finished: bool,
) -> None:
    records[stage.name] = StageRecord(stage.command, round(seconds, 3), peak, finished)
    write_json(folder / RECORDS, {name: asdict(own) for name, own in records.items()})


def refuse_other(folder: Path, stage: Stage, known: StageRecord) -> None:
    """Check that a recorded stage has the same command as the requested one.

    Raises:
        UserError: it has another command.
    """
    if known.command != stage.command:
        raise UserError(
            f"{folder}: holds another experiment ({stage.name} was `{known.command}`, and is now "
            f"`{stage.command}`); remove that folder, or choose another"
        )


def read_records(folder: Path) -> dict[str, StageRecord]:
    """The records of the stages of an experiment, by name.

    `blend --share` of earlier versions is read as `interpolate --alpha`.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / RECORDS
    if not path.exists():
        return {}
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        records = {name: StageRecord(**record) for name, record in plain.items()}
        return dict(starmap(_with_current_names, records.items()))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it") from error


def _with_current_names(name: str, record: StageRecord) -> tuple[str, StageRecord]:
    """A record of an earlier version under the present names of stage, command and option."""
    kind, hyphen, rest = name.partition("-")
    name = f"interpolate{hyphen}{rest}" if kind == "blend" else name
    words = shlex.split(record.command)
    if words[:2] == ["maniplvm", "blend"]:
        words[1:] = ["interpolate", *("--alpha" if w == "--share" else w for w in words[2:])]
        record = replace(record, command=shlex.join(words))
    return name, record
