"""Reads selected columns of Parquet files; errors of a file become record errors."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.optional import arrow, parquet

_BATCH_ROWS = 256


@contextmanager
def open_parquet(path: Path, columns: Sequence[str]) -> Generator[Any]:
    """Open a `pyarrow.parquet.ParquetFile` that must have these columns.

    Raises:
        RecordError: the file does not exist, is not Parquet, is damaged (also found while it is
            read), or lacks a column (the existing columns are listed).
    """
    if not path.is_file():
        raise RecordError(ErrorCode.MISSING_FILE, f"{path} is not a file; download it")
    try:
        with parquet().ParquetFile(path) as file:
            existing = list(file.schema_arrow.names)
            missing = [name for name in columns if name not in existing]
            if missing:
                raise RecordError(
                    ErrorCode.MISSING_KEY,
                    f"{path} has no column {', '.join(map(repr, missing))}; it has "
                    f"{', '.join(existing)[:300]}",
                )
            yield file
    except (arrow().ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise RecordError(
            ErrorCode.DAMAGED_FILE,
            f"{path} is damaged or not a Parquet file ({reason}); download it again",
        ) from error


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """Read these columns as a `pyarrow.Table`.

    Raises:
        RecordError: see `open_parquet`.
    """
    with open_parquet(path, columns) as file:
        return file.read(columns=list(columns)).select(list(columns))


def stream_columns(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file as mappings of these columns.

    Args:
        path: The file.
        columns: Columns that the file must have.
        optional: Columns that the rows hold if the file has them.

    Raises:
        RecordError: see `open_parquet`; it may come after some rows.
    """
    with open_parquet(path, columns) as file:
        existing = set(file.schema_arrow.names)
        names = [*columns, *(name for name in optional if name in existing)]
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            yield from batch.select(names).to_pylist()


def read_cell(path: Path, row: int, column: str) -> Any:
    """Read one value. Only its row group is read, batch by batch.

    Raises:
        RecordError: see `open_parquet`.
    """
    with open_parquet(path, [column]) as file:
        for group in range(file.num_row_groups):
            rows: int = file.metadata.row_group(group).num_rows
            if row >= rows:
                row -= rows
                continue
            for batch in file.iter_batches(
                batch_size=_BATCH_ROWS, row_groups=[group], columns=[column]
            ):
                if row < len(batch):
                    return batch.column(column)[row].as_py()
                row -= len(batch)
    raise RecordError(ErrorCode.DAMAGED_FILE, f"{path} has no row {row}; download it again")


def number_rows(table: Any, column: str, path: Path) -> FloatArray:
    """A column of numbers, or of lists of the same length, as `(T, N)`. Nulls become NaN.

    Raises:
        RecordError: the column holds something else.
    """
    pa = arrow()
    found = table.column(column)
    chunks = [_rows_of(pa, chunk) for chunk in found.chunks if len(chunk)]
    if any(chunk is None for chunk in chunks) or len({chunk.shape[1] for chunk in chunks}) > 1:
        raise RecordError(
            ErrorCode.WRONG_TYPE,
            f"{path}: column {column!r} needs numbers, or lists of numbers of the same length, got {found.type}",
        )
    return np.concatenate(chunks) if chunks else np.empty((0, 0))


def _rows_of(pa: Any, values: Any) -> Any:
    """One chunk as `(T, N)`, or None if it holds something else."""
    is_list = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
    if is_list or pa.types.is_fixed_size_list(values.type):
        lengths = set(values.value_lengths().to_pylist())
        if len(lengths) != 1 or None in lengths:
            return None
        count, values = int(lengths.pop()), values.flatten()
    else:
        count = 1
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return None
    return values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, count)
