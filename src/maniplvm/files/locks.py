"""Locks between processes that write the same file or folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from maniplvm.errors import UserError
from maniplvm.files.unfinished import unfinished_path


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a folder, so that no other process writes to it at the same time.

    The system releases the lock of a killed process.

    Args:
        folder: An existing folder. During the block it holds a file `lock.unfinished`.

    Raises:
        UserError: another process holds the folder.
    """
    with _held(unfinished_path(folder / "lock"), folder):
        yield


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Hold a file or folder that need not exist, so that no other process writes it.

    Args:
        path: The file or folder. During the block a file with the further suffix
            `.lock.unfinished` lies beside it.

    Raises:
        UserError: another process holds it.
    """
    with _held(unfinished_path(path.with_name(path.name + ".lock")), path):
        yield


@contextmanager
def _held(lock: Path, path: Path) -> Generator[None]:
    while True:
        with lock.open("ab") as file:
            if is_locked(file):
                raise UserError(
                    f"{path}: another process writes to it; wait for it to end, or choose "
                    "another path"
                )
            if not _is_open_at(file, lock):
                continue  # the process that held it has removed the file in the meantime
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_open_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def is_locked(file: IO[bytes]) -> bool:
    """Whether another process holds a lock on a file; otherwise this process holds it until it closes.

    On a file system without locks nothing is locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    return False
