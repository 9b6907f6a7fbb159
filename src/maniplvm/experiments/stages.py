"""Stages one after the other, each a command of its own; finished ones are not run again."""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.files import write_json
from maniplvm.process import peak_rss_mb

RECORDS = "stages.json"


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: Unique in its experiment.
        arguments: What follows `maniplvm` on the command line.
        purpose: In a few words, for the person who watches.
    """

    name: str
    arguments: tuple[str, ...]
    purpose: str

    @property
    def command(self) -> str:
        """As one would type it."""
        return shlex.join(["maniplvm", *self.arguments])

    @property
    def words(self) -> list[str]:
        """The same for a process of this Python."""
        return [sys.executable, "-m", "maniplvm", *self.arguments]


@dataclass(frozen=True)
class StageRecord:
    """What a stage took so far.

    Attributes:
        command: That was run.
        seconds: Wall time, interrupted attempts included; the one that is under way is not.
        peak_rss_mb: Largest memory of any process so far [MB].
        finished: Whether it came to its end.
    """

    command: str
    seconds: float
    peak_rss_mb: float
    finished: bool


def in_front(stage: Stage) -> int:
    """Run a stage where it can be watched; its exit status."""
    return subprocess.run(stage.words, check=False).returncode  # noqa: S603 - our own, no shell


def run_stages(
    stages: Sequence[Stage],
    folder: Path,
    announce: Callable[[Stage], None],
    launch: Callable[[Stage], int] = in_front,
) -> dict[str, StageRecord]:
    """Run what is not finished yet, and note time and memory in `stages.json`.

    Every stage continues by itself what it had begun, so an interrupted chain is simply run again.

    Args:
        stages: In order.
        folder: Where the records are kept.
        announce: Told about every stage that is about to run.
        launch: Runs a stage and gives its exit status.

    Returns:
        The records by the stages' names.

    Raises:
        UserError: a stage failed (what it said stands above), or the folder belongs to other
            stages.
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
        _note(folder, records, stage, spent, finished=False)
        code = None
        try:
            code = launch(stage)
        finally:
            spent += time.monotonic() - started
            _note(folder, records, stage, spent, finished=code == 0)
        if code:
            raise UserError(
                f"stage {stage.name} ended with status {code}; run the same command again to go on"
            )
    return records


def _note(
    folder: Path, records: dict[str, StageRecord], stage: Stage, seconds: float, *, finished: bool
) -> None:
    peak = peak_rss_mb(resource.RUSAGE_CHILDREN)
    records[stage.name] = StageRecord(stage.command, round(seconds, 3), peak, finished)
    write_json(folder / RECORDS, {name: asdict(own) for name, own in records.items()})


def refuse_other(folder: Path, stage: Stage, known: StageRecord) -> None:
    """Make sure that a stage was made by the command that is asked for now.

    Raises:
        UserError: it was another.
    """
    if _in_current_words(known.command) != stage.command:
        raise UserError(
            f"{folder}: holds another experiment ({stage.name} was `{known.command}`, and is now "
            f"`{stage.command}`); remove that folder, or choose another"
        )


def _in_current_words(command: str) -> str:
    """A recorded command, with `blend --share` of earlier versions as `interpolate --alpha`."""
    words = shlex.split(command)
    if words[:2] != ["maniplvm", "blend"]:
        return command
    words[1] = "interpolate"
    return shlex.join(["--alpha" if word == "--share" else word for word in words])


def read_records(folder: Path) -> dict[str, StageRecord]:
    """What the stages of an experiment took so far, by name.

    Raises:
        UserError: a damaged file.
    """
    path = folder / RECORDS
    if not path.exists():
        return {}
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return {name: StageRecord(**record) for name, record in plain.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it") from error
