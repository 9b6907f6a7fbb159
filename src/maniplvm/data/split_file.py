"""Reading the parquet file of one split. An error in the file is one clear line."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maniplvm.data.schema import ADDED_COLUMNS, COLUMNS, arrow_schema
from maniplvm.errors import UserError
from maniplvm.optional import arrow, parquet

Row = dict[str, Any]

_BATCH_ROWS = 64


def stream_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield every row, with one small batch in memory at a time.

    Raises:
        UserError: the file is missing, damaged, or was not written by a `DatasetWriter`.
    """
    with _opened(path) as file:
        there = _present(file, columns)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=there):
            yield from batch.to_pylist()


def read_table(path: Path) -> Any:
    """Read the whole file as a `pyarrow.Table`.

    Raises:
        UserError: as `stream_rows`.
    """
    with _opened(path) as file:
        return file.read()


def row_at(path: Path, position: int) -> Row:
    """Read one row with all its columns. Only its row group is read.

    Raises:
        UserError: as `stream_rows`.
        IndexError: the file has fewer rows.
    """
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            rows: int = file.metadata.row_group(group).num_rows
            if position < rows:
                table = file.read_row_group(group, columns=_present(file, COLUMNS))
                return table.slice(position, 1).to_pylist()[0]
            position -= rows
    raise IndexError(f"{path}: no row {position}")


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    if not path.is_file():
        raise UserError(f"{path}: the file of this split is missing; import the data set again")
    try:
        with parquet().ParquetFile(path) as file:
            _require_our_columns(file.schema_arrow, path)
            yield file
    except (arrow().ArrowException, OSError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: damaged or no parquet file ({cause}); import the data set again"
        ) from error


def _present(file: Any, columns: Sequence[str]) -> list[str]:
    """The columns without those that an older data set lacks."""
    there = set(file.schema_arrow.names)
    return [name for name in columns if name in there or name not in ADDED_COLUMNS]


def _require_our_columns(found: Any, path: Path) -> None:
    for column in arrow_schema():
        index = found.get_field_index(column.name)
        if index < 0 and column.name in ADDED_COLUMNS:
            continue
        if index < 0:
            raise UserError(
                f"{path}: not a maniplvm data set: column {column.name!r} is missing "
                f"(found: {', '.join(found.names) or 'none'})"
            )
        if found.field(index).type != column.type:
            raise UserError(
                f"{path}: not a maniplvm data set: column {column.name!r} holds "
                f"{found.field(index).type}, not {column.type}"
            )
