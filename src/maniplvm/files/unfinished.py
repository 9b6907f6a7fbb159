"""Names of files and folders whose write has not finished."""

from __future__ import annotations

from pathlib import Path

_UNFINISHED = ".unfinished"


def unfinished_path(path: Path) -> Path:
    """The path of a file or folder during the write: in the same folder, with a further suffix."""
    return path.with_name(path.name + _UNFINISHED)


def is_unfinished(path: Path) -> bool:
    """Whether a path is a file or folder whose write did not finish."""
    return path.name.endswith(_UNFINISHED)
