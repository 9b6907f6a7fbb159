"""The data set store: open a data set that `DatasetWriter` wrote, and stream its samples."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from maniplvm.data.manifest import DatasetInfo, read_manifest
from maniplvm.data.replacement import complete
from maniplvm.data.schema import COLUMNS, COLUMNS_WITHOUT_IMAGE, row_of, sample_of, table_of
from maniplvm.data.split_file import Row, read_table, row_at, stream_rows
from maniplvm.data.writer import DatasetWriter, write_dataset
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample, Task

__all__ = ["Dataset", "DatasetInfo", "DatasetWriter", "open_dataset", "write_dataset"]


class Dataset:
    """A data set on disk, opened by `open_dataset`.

    Attributes:
        folder: Folder of the data set.
        info: Content of `dataset.json`.
    """

    def __init__(self, folder: Path, info: DatasetInfo) -> None:
        self.folder = folder
        self.info = info
        self._place_of: dict[str, tuple[str, int]] | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of writing."""
        return tuple(self.info.counts)

    def __len__(self) -> int:
        return self.info.total

    def __repr__(self) -> str:
        return f"Dataset({self.info.name!r}, {len(self)} samples, splits {', '.join(self.splits)})"

    def samples(
        self, split: str | None = None, task: str | None = None, images: bool = True
    ) -> Iterator[Sample]:
        """Stream the samples, split by split in the order of writing.

        Args:
            split: Stream only this split.
            task: Stream only this task.
            images: False leaves the images on disk (`Sample.image` is None). Scoring needs none.

        Raises:
            UserError: an unknown split or task, or a file that is missing, damaged or no file of a
                data set. An unknown name is reported at the call, with the valid names.
        """
        splits = self.splits if split is None else (self._known_split(split),)
        wanted = None if task is None else _known_task(task)
        return self._stream(splits, wanted, COLUMNS if images else COLUMNS_WITHOUT_IMAGE)

    def sample(self, id: str) -> Sample:
        """The sample with this id, with its image.

        The first call reads all ids. Every call reads one row group.

        Raises:
            UserError: no sample has this id (similar ids are listed), or a file is damaged.
        """
        places = self._places()
        if id not in places:
            similar = get_close_matches(id, places, n=3)
            hint = f"; similar: {', '.join(similar)}" if similar else ""
            raise UserError(f"{self.folder}: holds no sample {id!r}{hint}")
        split, position = places[id]
        path = self._path(split)
        return _checked(row_at(path, position), path, position)

    def table(self, split: str) -> Any:
        """All rows of a split as a `pyarrow.Table`, for `DatasetWriter.add_table`.

        Images stay encoded and nothing is checked. Columns that an older data set lacks are added.

        Raises:
            UserError: an unknown split, or a file that is missing or damaged.
        """
        table = read_table(self._path(self._known_split(split)))
        if set(COLUMNS) <= set(table.column_names):
            return table.select(COLUMNS)
        return table_of([row_of(sample) for sample in self.samples(split)])

    def _stream(
        self, splits: tuple[str, ...], task: Task | None, columns: tuple[str, ...]
    ) -> Iterator[Sample]:
        for split in splits:
            path = self._path(split)
            for position, row in enumerate(stream_rows(path, columns)):
                if task is None or row["task"] == task:
                    yield _checked(row, path, position)

    def _places(self) -> dict[str, tuple[str, int]]:
        if self._place_of is None:
            self._place_of = {
                row["id"]: (split, position)
                for split in self.splits
                for position, row in enumerate(stream_rows(self._path(split), ["id"]))
            }
        return self._place_of

    def _path(self, split: str) -> Path:
        return self.folder / f"{split}.parquet"

    def _known_split(self, split: str) -> str:
        if split not in self.splits:
            raise UserError(
                f"{self.folder}: has no split {split!r}; choose from {', '.join(self.splits)}"
            )
        return split


def open_dataset(folder: Path) -> Dataset:
    """Open a stored data set. Only `dataset.json` is read.

    A write that was killed while its files moved into place is completed first.

    Raises:
        UserError: the folder holds no data set, or one from a newer version of this package.
    """
    folder = Path(folder)
    complete(folder)
    return Dataset(folder, read_manifest(folder))


def _known_task(task: str) -> Task:
    if task not in tuple(Task):
        raise UserError(f"unknown task {task!r}; choose from {', '.join(Task)}")
    return Task(task)


def _checked(row: Row, path: Path, position: int) -> Sample:
    try:
        return sample_of(row)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: row {position} is not a sample ({error}); import the data set again"
        ) from error
