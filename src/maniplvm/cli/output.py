"""Output files of a command."""

from __future__ import annotations

from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.files import unwritable, write_whole, writing


def check_output(*paths: Path | None) -> None:
    """Check before the work that output files can be written.

    Raises:
        UserError: a path is a folder, or its folder does not exist.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UserError(f"{path}: cannot be written; give a file in an existing folder")


def write_output(path: Path, text: str) -> None:
    """Write a text file; it is complete or absent.

    Raises:
        UserError: the file cannot be written, or another process writes it.
    """
    try:
        with writing(path):
            write_whole(path, text)
    except OSError as error:
        raise unwritable(path, error) from error
