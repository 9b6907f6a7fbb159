"""The progress bar of all commands, on standard error if it is a terminal."""

from __future__ import annotations

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from maniplvm.console import SafeConsole


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar with description, count and remaining time; use it as a context manager.

    Args:
        columns: Further columns between the count and the remaining time.
    """
    console = SafeConsole(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
