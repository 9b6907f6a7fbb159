"""LeRobot's lists of tasks and episodes, and the paths of each episode's files.

Version 2 has one file for each episode. Version 3 puts several episodes into one file, and a Parquet
table says where each episode starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.images import resolve_image
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._parquet import open_parquet, stream_columns
from maniplvm.data.readers.lerobot.info import INFO, LeRobotInfo
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import short_repr
from maniplvm.errors import UserError

_DATA_V2 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO_V2 = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_DATA_V3 = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO_V3 = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_CHUNK_SIZE = 1000
_PLACEHOLDER = re.compile(r"\{(\w+)(?::0?(\d*)d)?\}")


@dataclass(frozen=True)
class EpisodeEntry:
    """One entry of the list of episodes.

    Attributes:
        index: The episode's number.
        length: The number of frames, or None if the list does not give it.
        tasks: The task descriptions.
        data: Possible paths of the Parquet file, relative to the root. The first that exists is
            used.
        video: Possible paths of the selected camera's video, in the same way.
        seconds: The episode's start time in that video [s].
    """

    index: int
    length: int | None
    tasks: tuple[str, ...]
    data: tuple[str, ...]
    video: tuple[str, ...]
    seconds: float = 0.0

    @property
    def place(self) -> str:
        """The episode's name in error messages."""
        return f"episode {self.index}"


def read_tasks(info: LeRobotInfo) -> dict[int, str]:
    """Read the description of each task, by task index.

    Raises:
        UserError: the list of tasks is missing or damaged.
    """
    found = dict[int, str]()
    if info.version.startswith("v2"):
        for record in json_records(info.root / "meta" / "tasks.jsonl", info.root):
            if isinstance(record, BadRecord):
                raise UserError(str(record))
            index, text = record.fields.get("task_index"), record.fields.get("task")
            if isinstance(index, int) and isinstance(text, str):
                found[index] = text
    else:
        path = info.root / "meta" / "tasks.parquet"
        try:
            name = _task_column(path)
            for row in stream_columns(path, ["task_index", name]):
                found[row["task_index"]] = row[name]
        except RecordError as error:
            raise UserError(f"{error.code}: {error.detail}") from error
    return found


def list_episodes(info: LeRobotInfo, camera: str) -> Iterator[EpisodeEntry | BadRecord]:
    """Yield the data set's episodes in the order of its list.

    Raises:
        UserError: the list is missing or damaged as a whole.
    """
    return (
        _episodes_v2(info, camera) if info.version.startswith("v2") else _episodes_v3(info, camera)
    )


def find_file(info: LeRobotInfo, names: Sequence[str]) -> Path:
    """The first of these files that exists.

    Raises:
        RecordError: none of them exists, or the path leads out of the data set.
    """
    existing = [name for name in names if (info.root / name).is_file()]
    if not existing:
        raise RecordError(
            ErrorCode.MISSING_FILE, f"{info.root / names[0]} is not a file; download it"
        )
    return resolve_image(info.root, existing[0])


def _episodes_v2(info: LeRobotInfo, camera: str) -> Iterator[EpisodeEntry | BadRecord]:
    size = info.fields.get("chunks_size")
    per_chunk = size if isinstance(size, int) and size > 0 else _CHUNK_SIZE
    data, video = _template(info, "data_path", _DATA_V2), _template(info, "video_path", _VIDEO_V2)
    for record in json_records(info.root / "meta" / "episodes.jsonl", info.root):
        if isinstance(record, BadRecord):
            yield record
            continue
        index = record.fields.get("episode_index")
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            detail = f"'episode_index' needs an integer of at least 0, got {short_repr(index)}"
            yield record.to_bad_record(RecordError(ErrorCode.WRONG_TYPE, detail))
            continue
        values: dict[str, object] = {
            "episode_index": index,
            "episode_chunk": index // per_chunk,
            "video_key": camera,
            "total_episodes": info.fields.get("total_episodes"),
        }
        yield EpisodeEntry(
            index=index,
            length=_length(record.fields.get("length")),
            tasks=_strings(record.fields.get("tasks")),
            data=_fill_templates((data, _DATA_V2), values, info),
            video=_fill_templates((video, _VIDEO_V2), values, info),
        )


def _episodes_v3(info: LeRobotInfo, camera: str) -> Iterator[EpisodeEntry | BadRecord]:
    data, video = _template(info, "data_path", _DATA_V3), _template(info, "video_path", _VIDEO_V3)
    keys = ["episode_index", "data/chunk_index", "data/file_index"]
    if info.features[camera]["dtype"] == "video":
        parts = ("chunk_index", "file_index", "from_timestamp")
        keys += [f"videos/{camera}/{part}" for part in parts]
    columns = [*keys, "length"]
    paths = sorted((info.root / "meta" / "episodes").rglob("*.parquet"))
    if not paths:
        raise UserError(f"{info.root}: holds no meta/episodes/*/*.parquet; download them")
    for path in paths:
        try:
            for row in stream_columns(path, columns, optional=("tasks",)):
                invalid = [key for key in keys if not _is_valid(row[key])]
                if invalid:
                    value = short_repr(row[invalid[0]])
                    detail = f"{invalid[0]!r} needs a number of at least 0, got {value}"
                    place = f"episode {row['episode_index']}"
                    yield BadRecord(str(path), place, None, ErrorCode.BAD_VALUE, detail)
                else:
                    yield _episode_v3(row, info, camera, data, video)
        except RecordError as error:
            yield BadRecord(str(path), "the list of episodes", None, error.code, error.detail)


def _episode_v3(
    row: Mapping[str, Any], info: LeRobotInfo, camera: str, data: str, video: str
) -> EpisodeEntry:
    data_values = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
    video_values = {
        "video_key": camera,
        "chunk_index": row.get(f"videos/{camera}/chunk_index", 0),
        "file_index": row.get(f"videos/{camera}/file_index", 0),
    }
    return EpisodeEntry(
        index=row["episode_index"],
        length=_length(row["length"]),
        tasks=_strings(row.get("tasks")),
        data=_fill_templates((data, _DATA_V3), data_values, info),
        video=_fill_templates((video, _VIDEO_V3), video_values, info),
        seconds=float(row.get(f"videos/{camera}/from_timestamp", 0.0)),
    )


def _template(info: LeRobotInfo, key: str, default: str) -> str:
    value = info.fields.get(key)
    return value if isinstance(value, str) else default


def _fill_templates(
    templates: Sequence[str], values: Mapping[str, object], info: LeRobotInfo
) -> tuple[str, ...]:
    """Fill path templates. Only the plain forms `{name}` and `{name:03d}` are supported."""

    def value(match: re.Match[str]) -> str:
        name, width = match[1], match[2]
        if values.get(name) is None:
            raise UserError(
                f"{info.root / INFO}: a path template has {match[0]!r}; valid are {', '.join(values)}"
            )
        return str(values[name]).zfill(int(width or 0))

    return tuple(dict.fromkeys(_PLACEHOLDER.sub(value, template) for template in templates))


def _task_column(path: Path) -> str:
    """The column of the task descriptions: pandas stores it as `task` or as an unnamed index."""
    with open_parquet(path, ["task_index"]) as file:
        names = list(file.schema_arrow.names)
    for name in ("task", "__index_level_0__"):
        if name in names:
            return name
    raise RecordError(
        ErrorCode.MISSING_KEY, f"{path} has no column 'task'; it has {', '.join(names)[:300]}"
    )


def _is_valid(value: object) -> bool:
    """Whether a file number or a time is at least 0. NaN is not."""
    return isinstance(value, int | float) and value >= 0


def _length(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _strings(value: object) -> tuple[str, ...]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return tuple(text for text in listed if isinstance(text, str))
