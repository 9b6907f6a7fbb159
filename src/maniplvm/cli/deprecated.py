"""Deprecated names of commands and options, which keep working for one version."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import typer

Value = TypeVar("Value")


def warn_deprecated(old: str, new: str) -> None:
    """Print one line on standard error about a renamed option or command."""
    typer.echo(f"maniplvm: `{old}` is deprecated, use `{new}`", err=True)


def deprecated_command(app: typer.Typer, old: str, new: str, function: Callable[..., None]) -> None:
    """Register the old name of a command, hidden from the help.

    Args:
        app: Application or group that gets the command.
        old: Old name.
        new: New name, with its new options if they changed, for the notice.
        function: The command, with the old options.
    """

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> None:
        warn_deprecated(old, new)
        function(*arguments, **options)

    app.command(old, hidden=True)(command)


def renamed_option(old: str, old_value: Value | None, new: str, new_value: Value) -> Value:
    """The value of an option that has a deprecated name.

    Args:
        old: Deprecated name, such as `--plain`.
        old_value: Value under the deprecated name; None if it was not given.
        new: Current name.
        new_value: Value under the current name, used if `old_value` is None.
    """
    if old_value is None:
        return new_value
    warn_deprecated(old, new)
    return old_value
