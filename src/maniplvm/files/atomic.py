"""Atomic writes: a file or folder is complete or absent, even if the process is killed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files.unfinished import unfinished_path


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Replace a file or a folder atomically.

    The block writes to the yielded path. If it ends without an error, the result replaces `path`.
    After an error the result is removed. The unfinished result of a killed process is removed
    first. An old folder stays until the new one is in place. If a process is killed between these
    two steps, the next call restores it.

    Args:
        path: The file or folder to write. Its parent folder must exist.

    Yields:
        The path to write to: `unfinished_path(path)`.
    """
    unfinished, old = unfinished_path(path), unfinished_path(path.with_name(path.name + ".old"))
    _restore(old, path)
    remove(unfinished)
    try:
        yield unfinished
        sync(unfinished)
        if unfinished.is_dir():
            remove(old)
            if path.exists():
                path.replace(old)
        unfinished.replace(path)
        remove(old)
    except BaseException:
        remove(unfinished)
        _restore(old, path)
        raise


def _restore(old: Path, path: Path) -> None:
    """Move an old folder back if nothing took its place."""
    if old.exists() and not path.exists():
        old.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with its content. A missing path is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or every file in a folder, is on the disk, so that no power loss cuts it."""
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file() or each == path:
            with each.open("rb") as file:
                os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a UTF-8 text file with `replacing`.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise unwritable(path, error) from error


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """Write JSON as `write_whole` does.

    Raises:
        UserError: it cannot be written.
        ValueError: the content holds NaN or an infinite number.
    """
    write_whole(
        path, json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    )


def unwritable(path: Path, error: OSError) -> UserError:
    """The error for a file that cannot be written, in a command that can be resumed."""
    return UserError(
        f"{path}: cannot be written ({error.strerror}); earlier content is not lost; make it "
        "writable or free disk space, then run the same command to resume"
    )
