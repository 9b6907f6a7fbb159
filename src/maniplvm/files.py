"""Atomic writes: a file or folder is complete or absent, even if the process is killed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from maniplvm.errors import UserError

_UNFINISHED = ".unfinished"


def unfinished_path(path: Path) -> Path:
    """The path of a file or folder during the write: in the same folder, with a further suffix."""
    return path.with_name(path.name + _UNFINISHED)


def is_unfinished(path: Path) -> bool:
    """Whether a path is a file or folder whose write did not finish."""
    return path.name.endswith(_UNFINISHED)


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
    if old.exists() and not path.exists():
        old.replace(path)
    remove(unfinished)
    try:
        yield unfinished
        if unfinished.is_dir():
            remove(old)
            if path.exists():
                path.replace(old)
        else:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
        remove(old)
    except BaseException:
        remove(unfinished)
        raise


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a folder, so that no other process writes to it at the same time.

    The system releases the lock of a killed process.

    Args:
        folder: An existing folder. During the block it holds a file `lock.unfinished`.

    Raises:
        UserError: another process holds the folder.
    """
    path = unfinished_path(folder / "lock")
    with path.open("ab") as file:
        if is_locked(file):
            raise UserError(
                f"{folder}: another process writes to this folder; wait for it to end, or choose "
                "another folder"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_locked(file: IO[bytes]) -> bool:
    """Whether another process holds a lock on a file; otherwise this process holds it until it closes.

    On a file system without locks nothing is locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    return False


def remove(path: Path) -> None:
    """Remove a file or a folder with its content. A missing path is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
