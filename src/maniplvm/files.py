"""Files that are either whole or not there, whenever the process ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError

UNFINISHED = ".unfinished"
"""Ends the name of what is being written."""


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that an interruption leaves the old one or the new one, whole.

    Raises:
        UserError: it cannot be written.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """Write JSON as `write_whole` does.

    Raises:
        UserError: it cannot be written.
        ValueError: not a number where JSON needs one.
    """
    write_whole(
        path, json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    )


def unwritable(path: Path, error: OSError) -> UserError:
    """What is said when a file of something that can be continued cannot be written."""
    return UserError(
        f"{path}: cannot be written ({error.strerror}); what it holds is safe, and the same command "
        "continues when that is mended"
    )
