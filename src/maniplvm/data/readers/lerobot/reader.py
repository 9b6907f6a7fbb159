"""LeRobot data sets, v2.0, v2.1 and v3.0: each episode becomes one trajectory sample.

The image is the first frame of one camera, the instruction the task of that frame, and the trace
the end effector's path, projected into the image by a calibration that the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from maniplvm.data.images import EncodedImage, check_image, read_image, resolve_image
from maniplvm.data.readers._episodes import Episode, sample_of
from maniplvm.data.readers._json_record import text_value
from maniplvm.data.readers._parquet import cell, number_rows, opened, read_columns
from maniplvm.data.readers._robot_view import Recording, RobotView, choose_view
from maniplvm.data.readers.lerobot.info import Info, read_info
from maniplvm.data.readers.lerobot.layout import Entry, entries, located, read_tasks
from maniplvm.data.record_errors import BadRecord, Cause, RecordError, UniqueIds
from maniplvm.data.validation import shown
from maniplvm.data.video import read_frame
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.sample import Sample

NAME = "lerobot"

_STATE = "observation.state"


def read(
    source: Path,
    images: Path | None,
    calibration: Path | None = None,
    camera: str | None = None,
) -> Iterator[Sample | BadRecord]:
    """Read a data set's folder, episode by episode.

    Args:
        source: The folder that holds `meta`, `data` and `videos`.
        images: What images are relative to that the data name by path; None: `source`.
        calibration: The file of `read_calibration`.
        camera: Key of the camera, or the end of its key; only needed where there are several.

    Raises:
        UserError: no such data set, a version that is not read, no calibration (what is missing is
            said), or one that does not fit the data set.
    """
    info = read_info(source)
    recording = Recording(source, info.cameras, info.states, _STATE)
    view = choose_view(recording, calibration, camera)
    reader = _Reader(info, view, images or source, read_tasks(info))
    ids = UniqueIds()
    for entry in entries(info, view.camera):
        if isinstance(entry, BadRecord):
            yield entry
            continue
        try:
            sample = sample_of(reader.episode(entry), view.calibration)
            ids.check(sample.id, entry.data[0], entry.place)
            yield sample
        except RecordError as error:
            file = str(info.root / entry.data[0])
            yield BadRecord(file, entry.place, None, error.cause, error.detail)


@dataclass
class _Reader:
    info: Info
    view: RobotView
    images: Path
    tasks: dict[int, str]
    table: _Table | None = field(default=None)

    def episode(self, entry: Entry) -> Episode:
        table = self._table(located(self.info, entry.data))
        rows = np.flatnonzero(table.episodes == entry.index)
        if entry.length is not None and len(rows) != entry.length:
            raise RecordError(
                Cause.DAMAGED_FILE,
                f"{table.path} holds {len(rows)} frames of it, but the list of episodes says "
                f"{entry.length}; fetch it again",
            )
        if not len(rows):
            raise RecordError(Cause.TOO_FEW_POINTS, f"{table.path} holds no frame of it")
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
        """Version 3 keeps many episodes in a file: the last file's numbers stay in memory."""
        if self.table is None or self.table.path != path:
            self.table = None
            self.table = _Table.of(path, self.view)
        return self.table

    def _instruction(self, entry: Entry, tasks: list[int] | None, row: int) -> str:
        if tasks is None:
            return text_value(entry.tasks[0] if entry.tasks else None, "the episode's 'tasks'")
        index = tasks[row]
        if index not in self.tasks:
            raise RecordError(Cause.MISSING_KEY, f"meta/tasks has no 'task_index' {index}")
        return text_value(self.tasks[index], f"task {index}")

    def _image(self, entry: Entry, data: Path, row: int) -> EncodedImage:
        if self.info.features[self.view.camera]["dtype"] == "video":
            return read_frame(located(self.info, entry.video), entry.seconds)
        value = cell(data, row, self.view.camera)
        what = f"{data}, {self.view.camera!r} at row {row}"
        content: Any = value
        if isinstance(value, dict):
            parts = cast("dict[str, Any]", value)
            content = parts.get("bytes") or parts.get("path")
        if isinstance(content, bytes):
            return check_image(content, what)
        if isinstance(content, str):
            return read_image(resolve_image(self.images, content))
        raise RecordError(Cause.WRONG_TYPE, f"{what} needs an image, got {shown(content)}")


@dataclass(frozen=True)
class _Table:
    path: Path
    episodes: FloatArray  # (T,)
    states: FloatArray  # (T, N)
    tasks: list[int] | None  # (T,)

    @classmethod
    def of(cls, path: Path, view: RobotView) -> _Table:
        column, highest = view.column, max(view.indices)
        wanted = ["episode_index", column]
        with opened(path, wanted) as file:
            has_tasks = "task_index" in file.schema_arrow.names
        table = read_columns(path, [*wanted, "task_index"] if has_tasks else wanted)
        states = number_rows(table, column, path)
        if len(states) and states.shape[1] <= highest:
            raise RecordError(
                Cause.BAD_VALUE,
                f"{path}: column {column!r} holds {states.shape[1]} numbers a frame, so no index "
                f"{highest}",
            )
        return cls(
            path=path,
            episodes=number_rows(table, "episode_index", path).reshape(-1),
            states=states,
            tasks=table.column("task_index").to_pylist() if has_tasks else None,
        )
