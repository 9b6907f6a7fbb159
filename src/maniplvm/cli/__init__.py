"""The `maniplvm` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from maniplvm.cli.failures import Signals, system_failure
from maniplvm.errors import UserError
from maniplvm.text import one_line


def main() -> None:
    """Run the command line.

    Exit status 0 is success and 1 a negative result, such as issues that the doctor found. Status 2
    means that the command could not do its work: a `UserError`, an error of the operating system
    (such as a full disk), or no memory. It is one line on standard error. Ctrl-C ends with status
    130 and SIGTERM with status 143.

    Raises:
        SystemExit: always, with the exit status.
    """
    signals = Signals()
    try:
        status = _run(signals)
    except BaseException:
        # A signal during an import can surface as any error, so the signal decides.
        if signals.received is None:
            raise
        status = signals.status
    if signals.received is not None:
        status = signals.status
        _print_line("interrupted; the same command repeats or resumes the work, no file is lost")
    signals.release()
    raise SystemExit(status)


def _run(signals: Signals) -> int:
    """Run the command line and return its exit status."""
    if sys.stdout is None:
        _print_line("standard output is closed; redirect it, for example to /dev/null")
        return 2
    signals.catch()
    return exit_status(_command_line, signals)


def _command_line() -> None:
    from maniplvm.cli.app import app

    app(prog_name="maniplvm")


def exit_status(command: Callable[[], object], signals: Signals) -> int:
    """Run a command and return its exit status. A failure is one line on standard error.

    Args:
        command: The command. `SystemExit` sets the status.
        signals: The signals that were received. After one, its consequences are not printed.
    """
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except UserError as error:
        if signals.received is None:  # else it is a consequence of the signal
            _print_line(str(error))
    except BrokenPipeError:
        _drop_output()
        return 1
    except Exception as error:
        line = system_failure(error)
        if line is None or signals.received is not None:
            raise
        _drop_output()
        _print_line(line)
    else:
        return 0
    return 2


def _print_line(message: str) -> None:
    if sys.stderr is not None:
        print(f"maniplvm: {one_line(message)}", file=sys.stderr)


def _drop_output() -> None:
    """Send what is left in the buffer of standard output nowhere: writing it would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
