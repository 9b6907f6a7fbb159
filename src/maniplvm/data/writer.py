"""Writing a data set: streaming, deterministic, and complete or absent."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import maniplvm
from maniplvm.data.manifest import (
    MANIFEST_NAME,
    SPLIT_NAME,
    UNKNOWN_LICENSE,
    DatasetInfo,
    read_manifest,
)
from maniplvm.data.replacement import commit, complete
from maniplvm.data.schema import (
    IMAGE_LEAF,
    LEAVES,
    arrow_schema,
    row_of,
    table_of,
)
from maniplvm.errors import UserError
from maniplvm.files import is_unfinished, locked, remove, unfinished_path
from maniplvm.optional import arrow, parquet
from maniplvm.tasks.sample import Sample

# A row group that reaches one of the first two limits ends at the next new image, so that rows
# which share an image stay together. It always ends at one of the last two limits.
_GROUP_ROWS = 1024
_GROUP_IMAGE_BYTES = 64 * 2**20
_GROUP_ROWS_AT_MOST = 8 * _GROUP_ROWS
_GROUP_BYTES_AT_MOST = 8 * _GROUP_IMAGE_BYTES
_DICTIONARY_BYTES = 2**30

_REPEATED = ("task", "split", "category", "provenance", "scene", "part")
"""Columns with equal values in many rows. A row group stores each value once."""


class DatasetWriter:
    """Writes `<split>.parquet` files and `dataset.json` into a folder, sample by sample.

    Use it as a context manager. The files are written into `out_dir / "dataset.unfinished"`. When
    the block ends without an error, they replace the old data set (see `data.replacement`). After
    an error, they are removed. A killed process loses neither the old nor the new data set. The same
    samples in the same order give the same bytes.

    Samples of one split that share an image should be added one after the other. The image is then
    stored once; so is the provenance. (Exactly: a row group stores each value once. It has 1,024
    samples or 64 MiB of images.)

    Args:
        out_dir: Folder of the data set. It must be missing or empty, or hold a data set if
            `overwrite` is set. Files that do not belong to the old data set are kept.
        name: Name of the data set.
        description: One paragraph that describes the data.
        license: Licence of images and labels.
        homepage: Address of the data's source.
        extra: JSON-ready data to store in `dataset.json`.
        overwrite: Whether to replace an existing data set.

    Raises:
        UserError: `out_dir` is a file, holds other files, or holds a data set without `overwrite`;
            another process writes to it; two samples have the same id; a split's name is no file
            name, or differs from another only in case; or no sample was added.
    """

    def __init__(
        self,
        out_dir: Path,
        *,
        name: str,
        description: str = "",
        license: str = UNKNOWN_LICENSE,
        homepage: str = "",
        extra: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self._out_dir = Path(out_dir)
        self._overwrite = overwrite
        self._info = DatasetInfo(name, description, license, homepage, extra=extra or {})
        self._unfinished = unfinished_path(self._out_dir / "dataset")
        self._is_open = False
        self._made_folder = False
        self._lock = ExitStack()
        self._files: dict[str, _SplitFile] = {}
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._ids: set[str] = set()

    def __enter__(self) -> Self:
        _require_json(self._info.extra)
        _require_free(self._out_dir, self._overwrite)
        arrow()
        self._made_folder = not self._out_dir.exists()
        self._out_dir.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(locked(self._out_dir))
        remove(self._unfinished)
        self._unfinished.mkdir()
        self._is_open = True
        return self

    def add(self, sample: Sample) -> None:
        """Append one sample to the file of its split."""
        row = row_of(sample)
        self._register(sample.split, [sample.id], [str(sample.task)])
        self._files[sample.split].add(row)

    def add_table(self, split: str, table: Any) -> None:
        """Append rows that another data set stores, without decoding their images.

        The file is the same as if `add` had written the samples one by one.

        Args:
            split: The split that all rows belong to.
            table: A `pyarrow.Table` from `Dataset.table`.
        """
        self._register(split, table.column("id").to_pylist(), table.column("task").to_pylist())
        self._files[split].add_table(table)

    def _register(self, split: str, ids: Sequence[str], tasks: Sequence[str]) -> None:
        """Count samples of a split, and open its file at the first one."""
        if not self._is_open:
            raise RuntimeError("a DatasetWriter is a context manager: add samples inside its block")
        seen = set[str]()
        for id in ids:
            if id in self._ids or id in seen:
                raise UserError(f"sample id {id!r} is used twice; ids must be unique")
            seen.add(id)
        if split not in self._files:
            if not SPLIT_NAME.fullmatch(split):
                raise UserError(
                    f"sample {ids[0]!r}: {split!r} cannot name a split; use letters, digits, "
                    "'_', '-' and '.'"
                )
            similar = [name for name in self._files if name.lower() == split.lower()]
            if similar:
                raise UserError(
                    f"sample {ids[0]!r}: the splits {split!r} and {similar[0]!r} would be one file "
                    "where names ignore case; rename one of them"
                )
            self._files[split] = _SplitFile(self._unfinished / f"{split}.parquet")
        self._ids |= seen
        self._counts[split].update(tasks)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        try:
            if kind is None:
                for file in self._files.values():
                    file.close()
                self._finish()
        finally:
            for file in self._files.values():
                file.abandon()
            remove(self._unfinished)
            self._lock.close()
            if self._made_folder and not any(self._out_dir.iterdir()):
                self._out_dir.rmdir()

    def _finish(self) -> None:
        if not self._ids:
            raise UserError(f"{self._out_dir}: no sample was added, so no data set was written")
        replace(
            self._info,
            counts={split: dict(tasks) for split, tasks in self._counts.items()},
            versions={"maniplvm": maniplvm.__version__, "pyarrow": str(arrow().__version__)},
        ).write(self._unfinished)
        commit(self._unfinished, self._out_dir)


def write_dataset(
    out_dir: Path,
    samples: Iterable[Sample],
    *,
    name: str,
    description: str = "",
    license: str = UNKNOWN_LICENSE,
    homepage: str = "",
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write all samples with a `DatasetWriter`; see there for arguments and errors."""
    with DatasetWriter(
        out_dir,
        name=name,
        description=description,
        license=license,
        homepage=homepage,
        extra=extra,
        overwrite=overwrite,
    ) as writer:
        for sample in samples:
            writer.add(sample)


class _SplitFile:
    """One parquet file. Rows wait here, in order, until a row group is full."""

    def __init__(self, path: Path) -> None:
        self._writer = parquet().ParquetWriter(path, arrow_schema(), **_layout())
        self._count = 0
        self._rows: list[dict[str, Any]] = []
        self._tables: list[Any] = []
        self._images: set[bytes] = set()
        self._image_bytes = 0
        self._bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        image: bytes | None = None if row["image"] is None else row["image"]["bytes"]
        if self._is_full_for(image):
            self._flush()
        self._rows.append(row)
        self._note(image)

    def add_table(self, table: Any) -> None:
        self._rows_to_table()
        first = 0
        chunks = table.column("image").chunks
        for index, image in enumerate(
            chain.from_iterable(chunk.field("bytes") for chunk in chunks)
        ):
            encoded: bytes | None = image.as_py()
            if self._is_full_for(encoded):
                self._tables.append(table.slice(first, index - first))
                self._flush()
                first = index
            self._note(encoded)
        self._tables.append(table.slice(first))

    def _rows_to_table(self) -> None:
        if self._rows:
            self._tables.append(table_of(self._rows))
            self._rows = []

    def _note(self, image: bytes | None) -> None:
        self._count += 1
        if image is not None:
            self._bytes += len(image)
            if image not in self._images:
                self._images.add(image)
                self._image_bytes += len(image)

    def _is_full_for(self, image: bytes | None) -> bool:
        """Whether a row with this image belongs to the next row group."""
        if self._count >= _GROUP_ROWS_AT_MOST or self._bytes >= _GROUP_BYTES_AT_MOST:
            return True
        is_large = self._count >= _GROUP_ROWS or self._image_bytes >= _GROUP_IMAGE_BYTES
        return is_large and image not in self._images

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close a file that is not needed any more; a complete one stays as it is."""
        try:
            self._writer.close()
        except (OSError, arrow().ArrowException):  # the first error is already reported
            self._writer.is_open = False  # else its destructor reports the same error again

    def _flush(self) -> None:
        self._rows_to_table()
        table = arrow().concat_tables(self._tables or [table_of([])]).combine_chunks()
        self._writer.write_table(table, row_group_size=max(1, self._count))
        self._tables = []
        self._count = 0
        self._images = set()
        self._image_bytes = 0
        self._bytes = 0


def _layout() -> dict[str, Any]:
    """Images are stored uncompressed. A dictionary stores each image and repeated value once."""
    others = [leaf for leaf in LEAVES if leaf != IMAGE_LEAF]
    return {
        "compression": {**dict.fromkeys(others, "zstd"), IMAGE_LEAF: "none"},
        "use_dictionary": [IMAGE_LEAF, *_REPEATED],
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "write_statistics": [leaf for leaf in others if "." not in leaf and leaf != "provenance"],
    }


def _require_json(extra: Mapping[str, Any]) -> None:
    try:
        json.dumps(extra, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"extra: cannot be stored as JSON ({error})") from error


def _require_free(out_dir: Path, overwrite: bool) -> None:
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise UserError(f"{out_dir}: is a file; a data set needs its own folder")
    complete(out_dir)
    if (out_dir / MANIFEST_NAME).exists():
        if not overwrite:
            raise UserError(
                f"{out_dir}: already holds a data set; allow overwriting (--overwrite) or choose "
                "another folder"
            )
        read_manifest(out_dir)
        return
    if not all(map(is_unfinished, out_dir.iterdir())):
        raise UserError(f"{out_dir}: is not empty and holds no data set; choose another folder")
