"""Output files of a command."""

from __future__ import annotations

from pathlib import Path

from maniplvm.errors import UserError


def check_output(*paths: Path | None) -> None:
    """Check before the work that output files can be written.

    Raises:
        UserError: a path is a folder, or its folder does not exist.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UserError(f"{path}: cannot be written; give a file in an existing folder")


def write_output(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
