"""LeRobot data sets, v2.0, v2.1 and v3.0: each episode becomes one trajectory sample.

The image is the first frame of one camera. The instruction is the task of that frame. The trace is
the end effector's path, projected into the image with a calibration that the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from maniplvm.data.images import EncodedImage, check_image, read_image, resolve_image
from maniplvm.data.readers._episodes import Episode, to_sample
from maniplvm.data.readers._parquet import number_rows, open_parquet, read_cell, read_columns
from maniplvm.data.readers._robot_view import OPTIONS, RobotFeatures, RobotView, select_view
from maniplvm.data.readers.lerobot.info import LeRobotInfo, read_info
from maniplvm.data.readers.lerobot.layout import EpisodeEntry, find_file, list_episodes, read_tasks
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import UniqueIds, as_string, short_repr
from maniplvm.data.video import read_frame
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.sample import Sample

__all__ = ["NAME", "OPTIONS", "read"]

NAME = "lerobot"

_DEFAULT_STATE = "observation.state"


def read(
    source: Path,
    images: Path | None,
    calibration: Path | None = None,
    camera: str | None = None,
) -> Iterator[Sample | BadRecord]:
    """Read a data set's folder, episode by episode.

    Args:
        source: The folder that holds `meta`, `data` and `videos`.
        images: The folder of images that are stored as paths; None means `source`.
        calibration: The calibration file, as `read_calibration` reads it.
        camera: The camera's key, or the end of its key. It is needed if there are several cameras.

    Raises:
        UserError: the data set does not exist, its version is not supported, there is no
            calibration, or the calibration does not fit the data set.
    """
    info = read_info(source)
    features = RobotFeatures(source, info.cameras, info.states, _DEFAULT_STATE)
    view = select_view(features, calibration, camera)
    reader = _Reader(info, view, images or source, read_tasks(info))
    ids = UniqueIds()
    for entry in list_episodes(info, view.camera):
        if isinstance(entry, BadRecord):
            yield entry
            continue
        try:
            sample = to_sample(reader.episode(entry), view.calibration)
            ids.check(sample.id, entry.data[0], entry.place)
            yield sample
        except RecordError as error:
            file = str(info.root / entry.data[0])
            yield BadRecord(file, entry.place, None, error.code, error.detail)


@dataclass
class _Reader:
    info: LeRobotInfo
    view: RobotView
    images: Path
    tasks: dict[int, str]
    table: _Table | None = field(default=None)

    def episode(self, entry: EpisodeEntry) -> Episode:
        table = self._table(find_file(self.info, entry.data))
        rows = np.flatnonzero(table.episodes == entry.index)
        if entry.length is not None and len(rows) != entry.length:
            raise RecordError(
                ErrorCode.DAMAGED_FILE,
                f"{table.path} holds {len(rows)} frames of this episode, but the list of episodes "
                f"states {entry.length}; download it again",
            )
        if not len(rows):
            raise RecordError(
                ErrorCode.TOO_FEW_POINTS, f"{table.path} holds no frame of this episode"
            )
        robot = self.info.fields.get("robot_type")
        return Episode(
            id=f"{NAME}-episode-{entry.index:06d}",
            instruction=self._instruction(entry, table.tasks, int(rows[0])),
            image=self._image(entry, table.path, int(rows[0])),
            positions=self.view.positions(table.states[rows]),
            split=self.info.split_of(entry.index),
            category=robot if isinstance(robot, str) and robot.strip() else None,
            provenance={
                "format": NAME,
                "file": table.path.relative_to(self.info.root).as_posix(),
                "place": entry.place,
                "camera": self.view.camera,
            },
        )

    def _table(self, path: Path) -> _Table:
        """Keep the last file's numbers in memory: a file of version 3 holds many episodes."""
        if self.table is None or self.table.path != path:
            self.table = None
            self.table = _Table.read(path, self.view)
        return self.table

    def _instruction(self, entry: EpisodeEntry, tasks: list[int] | None, row: int) -> str:
        if tasks is None:
            return as_string(entry.tasks[0] if entry.tasks else None, "the episode's 'tasks'")
        index = tasks[row]
        if index not in self.tasks:
            raise RecordError(ErrorCode.MISSING_KEY, f"meta/tasks has no 'task_index' {index}")
        return as_string(self.tasks[index], f"task {index}")

    def _image(self, entry: EpisodeEntry, data: Path, row: int) -> EncodedImage:
        if self.info.features[self.view.camera]["dtype"] == "video":
            return read_frame(find_file(self.info, entry.video), entry.seconds)
        value = read_cell(data, row, self.view.camera)
        place = f"{data}, {self.view.camera!r} at row {row}"
        content: Any = value
        if isinstance(value, dict):
            parts = cast("dict[str, Any]", value)
            content = parts.get("bytes") or parts.get("path")
        if isinstance(content, bytes):
            return check_image(content, place)
        if isinstance(content, str):
            return read_image(resolve_image(self.images, content))
        raise RecordError(
            ErrorCode.WRONG_TYPE, f"{place} needs an image, got {short_repr(content)}"
        )


@dataclass(frozen=True)
class _Table:
    path: Path
    episodes: FloatArray  # (T,)
    states: FloatArray  # (T, N)
    tasks: list[int] | None  # (T,)

    @classmethod
    def read(cls, path: Path, view: RobotView) -> _Table:
        column, highest = view.column, max(view.indices)
        columns = ["episode_index", column]
        with open_parquet(path, columns) as file:
            has_tasks = "task_index" in file.schema_arrow.names
        table = read_columns(path, [*columns, "task_index"] if has_tasks else columns)
        states = number_rows(table, column, path)
        if len(states) and states.shape[1] <= highest:
            raise RecordError(
                ErrorCode.BAD_VALUE,
                f"{path}: column {column!r} has {states.shape[1]} numbers per frame, so no index "
                f"{highest}",
            )
        return cls(
            path=path,
            episodes=number_rows(table, "episode_index", path).reshape(-1),
            states=states,
            tasks=table.column("task_index").to_pylist() if has_tasks else None,
        )
