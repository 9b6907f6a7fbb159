"""Moves a finished data set into its folder, so that a killed process loses nothing.

The new files are complete in `dataset.unfinished`. Renaming that folder to `dataset.committed` is the
decision. From then on the new data set counts: whoever opens or writes the folder next completes
the moves. Before it, the old data set counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from maniplvm.data.manifest import MANIFEST_NAME, read_manifest
from maniplvm.errors import UserError
from maniplvm.files import remove

_COMMITTED = "dataset.committed"


def commit(finished: Path, out_dir: Path) -> None:
    """Replace the data set of a folder by another one.

    Args:
        finished: A folder inside `out_dir` that holds all files of the new data set.
        out_dir: The folder of the data set. Files that belong to no data set are kept.
    """
    for path in finished.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    finished.replace(out_dir / _COMMITTED)
    complete(out_dir)


def is_committed(out_dir: Path) -> bool:
    """Whether a folder holds a complete data set whose files are not all in place."""
    return (out_dir / _COMMITTED).is_dir()


def complete(out_dir: Path) -> None:
    """Finish a replacement that was interrupted; nothing happens if there is none.

    Raises:
        UserError: the files cannot be moved.
    """
    committed = out_dir / _COMMITTED
    if not committed.is_dir():
        return
    try:
        if (committed / MANIFEST_NAME).is_file():
            new = read_manifest(committed).counts
            if (out_dir / MANIFEST_NAME).is_file():
                for split in read_manifest(out_dir).counts.keys() - new.keys():
                    (out_dir / f"{split}.parquet").unlink(missing_ok=True)
            for path in sorted(committed.glob("*.parquet")):
                path.replace(out_dir / path.name)
            (committed / MANIFEST_NAME).replace(out_dir / MANIFEST_NAME)
        remove(committed)
    except OSError as error:
        raise UserError(
            f"{out_dir}: an interrupted write could not be completed ({error.strerror}); make the "
            "folder writable"
        ) from error
