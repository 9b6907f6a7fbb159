"""Options whose name changed: the old name works for one version, with a notice."""

from __future__ import annotations

from typing import TypeVar

import typer

Value = TypeVar("Value")


def renamed_option(old: str, given: Value | None, new: str, value: Value) -> Value:
    """The value of an option whose name changed.

    Args:
        old: The old name, such as `--give-up-after`.
        given: The value under the old name; None if it was not given.
        new: The new name.
        value: The value under the new name.

    Returns:
        `given`, with a notice on standard error, or `value` if the old name was not given.
    """
    if given is None:
        return value
    typer.echo(f"{old} is deprecated and will be removed; use {new}", err=True)
    return given
