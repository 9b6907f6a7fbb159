"""Old names of commands, which keep working for one version."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import typer


def deprecated_command(app: typer.Typer, old: str, new: str, function: Callable[..., None]) -> None:
    """Register the old name of a command, hidden from the help.

    Args:
        app: Application or group that gets the command.
        old: Old name.
        new: New name, with its new options where they changed, for the notice.
        function: The command, with the old options.
    """

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> None:
        typer.echo(f"maniplvm: `{old}` is deprecated, use `{new}`", err=True)
        function(*arguments, **options)

    app.command(old, hidden=True)(command)
