"""The `maniplvm` command."""

from __future__ import annotations

import sys

from maniplvm.errors import UserError


def main() -> None:
    """Run the command line. A `UserError` is one line on standard error and exit status 2."""
    from maniplvm.cli.app import app

    try:
        app(prog_name="maniplvm")
    except UserError as error:
        print(f"maniplvm: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
