"""The option `--ray`, which several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = (
    "Use all nodes of the Ray cluster at this HOST:PORT, or `auto` on a node of it; "
    "default: the variable RAY_ADDRESS, else this machine alone."
)

Ray = Annotated[str | None, typer.Option(help=HELP, metavar="ADDRESS")]
