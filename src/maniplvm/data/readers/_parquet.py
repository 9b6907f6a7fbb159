"""Parquet files that others wrote: some columns at a time, problems as record errors."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data.record_errors import Cause, RecordError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.optional import arrow, parquet

_BATCH_ROWS = 256


@contextmanager
def opened(path: Path, columns: Sequence[str]) -> Generator[Any]:
    """A `pyarrow.parquet.ParquetFile` that has these columns.

    Raises:
        RecordError: no such file, no parquet file or a damaged one (also while it is read), or a
            column is missing (those that are there are listed).
    """
    if not path.is_file():
        raise RecordError(Cause.MISSING_FILE, f"{path} is no file; fetch it")
    try:
        with parquet().ParquetFile(path) as file:
            there = list(file.schema_arrow.names)
            missing = [name for name in columns if name not in there]
            if missing:
                raise RecordError(
                    Cause.MISSING_KEY,
                    f"{path} has no column {', '.join(map(repr, missing))}; it has "
                    f"{', '.join(there)[:300]}",
                )
            yield file
    except (arrow().ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise RecordError(
            Cause.DAMAGED_FILE, f"{path} is damaged or no parquet file ({reason}); fetch it again"
        ) from error


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """A `pyarrow.Table` of these columns only.

    Raises:
        RecordError: see `opened`.
    """
    with opened(path, columns) as file:
        return file.read(columns=list(columns)).select(list(columns))


def stream_columns(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file, some of their columns only.

    Raises:
        RecordError: see `opened`; maybe after some rows.
    """
    with opened(path, columns) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
            yield from batch.select(list(columns)).to_pylist()


def cell(path: Path, row: int, column: str) -> Any:
    """One value; only its row group is read, batch by batch.

    Raises:
        RecordError: see `opened`.
    """
    with opened(path, [column]) as file:
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
    raise RecordError(Cause.DAMAGED_FILE, f"{path} has no row {row}; fetch it again")


def number_rows(table: Any, column: str, path: Path) -> FloatArray:
    """A column of numbers, or of lists of equally many numbers, as `(T, N)`; nulls are NaN.

    Raises:
        RecordError: it holds something else.
    """
    pa = arrow()
    found = table.column(column)
    chunks = [_rows_of(pa, chunk) for chunk in found.chunks if len(chunk)]
    if any(chunk is None for chunk in chunks) or len({chunk.shape[1] for chunk in chunks}) > 1:
        raise RecordError(
            Cause.WRONG_TYPE,
            f"{path}: column {column!r} needs lists of equally many numbers, got {found.type}",
        )
    return np.concatenate(chunks) if chunks else np.empty((0, 0))


def _rows_of(pa: Any, values: Any) -> Any:
    """One chunk as `(T, N)`, or None where it holds something else."""
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
