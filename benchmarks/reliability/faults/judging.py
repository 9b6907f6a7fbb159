"""How one command must end: with success, or with one line and the right status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability.faults.commands import Writer, leftovers
from benchmarks.reliability.faults.forked import Command, Conditions, run

ABORTED = (134, 139)
"""Statuses after SIGABRT and SIGSEGV, by which native libraries end without memory."""
_PREFIX = "maniplvm: "
_NOTICES = ("the embedded model knows simulated images only",)
"""Lines that `predict` prints before it works."""


@dataclass
class Attempts:
    """Counts of one kind of attempt.

    Attributes:
        kind: Name of the kind.
        tried: Number of attempts.
        failures: One line for each lost attempt.
        statuses: Number of attempts by exit status.
    """

    kind: str
    tried: int = 0
    failures: list[str] = field(default_factory=list[str])
    statuses: dict[str, int] = field(default_factory=dict[str, int])

    def record(self, command: Command, failure: str | None, where: str) -> None:
        """Count one attempt.

        Args:
            command: The ended command.
            failure: What went wrong, or None.
            where: What is needed to repeat it.
        """
        self.tried += 1
        status = str(command.wait(0))
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if failure is not None:
            self.failures.append(f"{self.kind}, {where}: {failure}")


def bad_end(command: Command, allowed: Sequence[int] = (0, 2)) -> str | None:
    """One line if an ended command ended in a wrong way, else None.

    A failure must be one line of the command. A signal may give one line. A success may print.
    """
    status = command.wait(0)
    lines = [line for line in command.lines if not line.startswith(_NOTICES)]
    if status == 137:
        return "it does not end"
    if status not in allowed:
        return f"status {status}: {lines[-1] if lines else 'no line'}"
    if any("Traceback" in line for line in lines) and any("/maniplvm/" in line for line in lines):
        return f"status {status} with a traceback: {lines[-1]}"
    if status == 2 and (len(lines) != 1 or not lines[0].startswith(_PREFIX)):
        return f"status 2 with {len(lines)} lines: {' | '.join(lines[:3])[:400]}"
    return None


def attempt(
    writer: Writer,
    out: Path,
    expected: Path,
    log: Path,
    conditions: Conditions,
    allowed: Sequence[int] = (0, 2),
) -> tuple[Command, str | None]:
    """Run a command under conditions, then without them; nothing may be lost.

    Args:
        writer: The command.
        out: The output path.
        expected: The output of an uninterrupted command.
        log: File for standard output.
        conditions: The conditions.
        allowed: Exit statuses that are right.

    Returns:
        The command, and what went wrong or None.
    """
    command = run(writer.arguments(out), log, conditions)
    failure = bad_end(command, allowed)
    if failure is None and command.wait(0) == 0:
        return command, difference(writer, out, expected)
    return command, failure or finish(writer, out, expected, log)


def finish(writer: Writer, out: Path, expected: Path, log: Path) -> str | None:
    """Run a command to its end and compare its output; None if it is right."""
    again = run(writer.arguments(out), log)
    if again.wait(0) == 0 or is_done(writer, again):
        return difference(writer, out, expected)
    return f"then status {again.wait(0)}: {again.lines[-1] if again.lines else 'no line'}"


def is_done(writer: Writer, command: Command) -> bool:
    """Whether a command ended with the one line that its output is complete already."""
    lines = command.lines
    is_line = len(lines) == 1 and bool(writer.done) and writer.done in lines[0]
    return command.wait(0) == 2 and is_line


def difference(writer: Writer, out: Path, expected: Path) -> str | None:
    """Compare an output with the expected one; also damaged outputs give one line."""
    try:
        return writer.difference(out, expected) or leftovers(out)
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
