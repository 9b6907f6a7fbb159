"""The `maniplvm` command."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from maniplvm.errors import UserError


def main() -> None:
    """Run the command line.

    Exit status 0 is success and 1 a negative result, such as issues that the doctor found. Status 2
    means that the command could not do its work: a `UserError`, an error of the operating system
    (such as a full disk), or no memory. It is one line on standard error. SIGTERM ends with status
    143.
    """
    from maniplvm.cli.app import app

    if sys.stdout is None:
        _fail("standard output is closed; redirect it, for example to /dev/null")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        try:
            app(prog_name="maniplvm")
        finally:
            sys.stdout.flush()
    except UserError as error:
        _fail(str(error))
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(1) from None
    except OSError as error:
        if error.strerror is None:
            raise
        _drop_output()
        place = error.filename if error.filename is not None else "standard output or a file"
        _fail(f"{place}: {error.strerror}; earlier files are kept, so fix this and run it again")
    except MemoryError:
        _fail("not enough memory; use smaller batches or images, or a machine with more memory")


def _terminate(number: int, _: object) -> NoReturn:
    """End as after Ctrl-C, so that files are closed and worker processes end.

    Raises:
        SystemExit: always, with the status that shells give to this signal.
    """
    raise SystemExit(128 + number)


def _fail(message: str) -> NoReturn:
    """Print one line and end with status 2.

    Raises:
        SystemExit: always.
    """
    print(f"maniplvm: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2) from None


def _drop_output() -> None:
    """Send what is left in the buffer of standard output nowhere: writing it would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
