"""Write the folder of an exported run, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files import is_unfinished, replacing, unwritable
from maniplvm.optional import arrow, parquet

_GROUP = 64
"""Rows of one row group, which are in memory together."""


@contextmanager
def new_folder(out: Path) -> Generator[Path]:
    """Write a folder that is complete or absent.

    Yields:
        The folder to write to.

    Raises:
        UserError: the folder is not empty, or cannot be written.
    """
    require_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as unfinished:
            unfinished.mkdir()
            yield unfinished
    except OSError as error:
        raise unwritable(out, error) from error


def require_free(out: Path) -> None:
    """Check that a folder is new, or empty but for an unfinished write.

    Raises:
        UserError: it is not.
    """
    if out.exists() and not (out.is_dir() and all(map(is_unfinished, out.iterdir()))):
        raise UserError(f"{out}: is not empty; choose another --out, or remove it")


def write_parquet(
    path: Path, schema: Any, rows: Iterable[dict[str, Any]], advance: Callable[[int], None]
) -> None:
    """Write rows to a parquet file, with few of them in memory at a time.

    Args:
        path: The new file.
        schema: The `pyarrow.Schema` of the rows.
        rows: The rows, one or more.
        advance: Gets the number of rows that were written since its last call.
    """
    rest = iter(rows)
    with parquet().ParquetWriter(path, schema) as file:
        while group := list(islice(rest, _GROUP)):
            file.write_table(arrow().Table.from_pylist(group, schema=schema))
            advance(len(group))
