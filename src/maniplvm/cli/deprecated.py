"""Notices for deprecated names of options and commands."""

from __future__ import annotations

from typing import TypeVar

import typer

Value = TypeVar("Value")


def warn_deprecated(old: str, new: str) -> None:
    """Print one line on standard error about a renamed option or command."""
    typer.echo(f"{old} is deprecated and will be removed; use {new} instead", err=True)


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
