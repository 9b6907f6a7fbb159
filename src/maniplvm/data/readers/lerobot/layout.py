"""LeRobot's lists of tasks and of episodes, and where each episode's files are.

Version 2 keeps one file for each episode; version 3 puts several episodes into one file and says in
parquet where each begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.images import resolve_image
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._parquet import opened, stream_columns
from maniplvm.data.readers.lerobot.info import INFO, Info
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.data.validation import shown
from maniplvm.errors import UserError

_DATA_V2 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO_V2 = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_DATA_V3 = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO_V3 = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_CHUNK_SIZE = 1000
_PLACEHOLDER = re.compile(r"\{(\w+)(?::0?(\d*)d)?\}")


@dataclass(frozen=True)
class Entry:
    """One episode of the list.

    Attributes:
        index: Its number.
        length: How many frames it has, or None where the list does not say.
        tasks: What was to be done, in words.
        data: Places where its parquet file may be, relative to the root; the first one counts.
        video: The same for the chosen camera's video.
        seconds: Where it begins in that video.
    """

    index: int
    length: int | None
    tasks: tuple[str, ...]
    data: tuple[str, ...]
    video: tuple[str, ...]
    seconds: float = 0.0

    @property
    def place(self) -> str:
        """What errors call it."""
        return f"episode {self.index}"


def read_tasks(info: Info) -> dict[int, str]:
    """The text of each task, by its index.

    Raises:
        UserError: the list is missing or damaged.
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
            name = _text_column(path)
            for row in stream_columns(path, ["task_index", name]):
                found[row["task_index"]] = row[name]
        except RecordError as error:
            raise UserError(f"{error.cause}: {error.detail}") from error
    return found


def entries(info: Info, camera: str) -> Iterator[Entry | BadRecord]:
    """The data set's episodes in the order of its list.

    Raises:
        UserError: the list is missing or damaged as a whole.
    """
    return _entries_v2(info, camera) if info.version.startswith("v2") else _entries_v3(info, camera)


def located(info: Info, names: Sequence[str]) -> Path:
    """The first of these files that is there.

    Raises:
        RecordError: none is, or its path leads out of the data set.
    """
    there = [name for name in names if (info.root / name).is_file()]
    if not there:
        raise RecordError(Cause.MISSING_FILE, f"{info.root / names[0]} is no file; fetch it")
    return resolve_image(info.root, there[0])


def _entries_v2(info: Info, camera: str) -> Iterator[Entry | BadRecord]:
    size = info.fields.get("chunks_size")
    per_chunk = size if isinstance(size, int) and size > 0 else _CHUNK_SIZE
    data, video = _template(info, "data_path", _DATA_V2), _template(info, "video_path", _VIDEO_V2)
    for record in json_records(info.root / "meta" / "episodes.jsonl", info.root):
        if isinstance(record, BadRecord):
            yield record
            continue
        index = record.fields.get("episode_index")
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            detail = f"'episode_index' needs a number from 0, got {shown(index)}"
            yield record.refused(RecordError(Cause.WRONG_TYPE, detail))
            continue
        places: dict[str, object] = {
            "episode_index": index,
            "episode_chunk": index // per_chunk,
            "video_key": camera,
            "total_episodes": info.fields.get("total_episodes"),
        }
        yield Entry(
            index=index,
            length=_length(record.fields.get("length")),
            tasks=_texts(record.fields.get("tasks")),
            data=_filled((data, _DATA_V2), places, info),
            video=_filled((video, _VIDEO_V2), places, info),
        )


def _entries_v3(info: Info, camera: str) -> Iterator[Entry | BadRecord]:
    data, video = _template(info, "data_path", _DATA_V3), _template(info, "video_path", _VIDEO_V3)
    places = ["episode_index", "data/chunk_index", "data/file_index"]
    if info.features[camera]["dtype"] == "video":
        parts = ("chunk_index", "file_index", "from_timestamp")
        places += [f"videos/{camera}/{part}" for part in parts]
    columns = [*places, "length", "tasks"]
    paths = sorted((info.root / "meta" / "episodes").rglob("*.parquet"))
    if not paths:
        raise UserError(f"{info.root}: holds no meta/episodes/*/*.parquet; fetch them")
    for path in paths:
        try:
            for row in stream_columns(path, columns):
                is_bad = [key for key in places if not _is_place(row[key])]
                if is_bad:
                    detail = f"{is_bad[0]!r} needs a number from 0, got {shown(row[is_bad[0]])}"
                    place = f"episode {row['episode_index']}"
                    yield BadRecord(str(path), place, None, Cause.BAD_VALUE, detail)
                else:
                    yield _entry_v3(row, info, camera, data, video)
        except RecordError as error:
            yield BadRecord(str(path), "the list of episodes", None, error.cause, error.detail)


def _entry_v3(row: Mapping[str, Any], info: Info, camera: str, data: str, video: str) -> Entry:
    here = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
    there = {
        "video_key": camera,
        "chunk_index": row.get(f"videos/{camera}/chunk_index", 0),
        "file_index": row.get(f"videos/{camera}/file_index", 0),
    }
    return Entry(
        index=row["episode_index"],
        length=_length(row["length"]),
        tasks=_texts(row["tasks"]),
        data=_filled((data, _DATA_V3), here, info),
        video=_filled((video, _VIDEO_V3), there, info),
        seconds=float(row.get(f"videos/{camera}/from_timestamp", 0.0)),
    )


def _template(info: Info, key: str, usual: str) -> str:
    value = info.fields.get(key)
    return value if isinstance(value, str) else usual


def _filled(templates: Sequence[str], values: Mapping[str, object], info: Info) -> tuple[str, ...]:
    """Templates with numbers and keys in place; only plain `{name}` and `{name:03d}` are known."""

    def value(match: re.Match[str]) -> str:
        name, width = match[1], match[2]
        if values.get(name) is None:
            raise UserError(
                f"{info.root / INFO}: a path names {match[0]!r}; known are {', '.join(values)}"
            )
        return str(values[name]).zfill(int(width or 0))

    return tuple(dict.fromkeys(_PLACEHOLDER.sub(value, template) for template in templates))


def _text_column(path: Path) -> str:
    """The column of the tasks' texts: pandas stores it as an unnamed index or as `task`."""
    with opened(path, ["task_index"]) as file:
        names = list(file.schema_arrow.names)
    for name in ("task", "__index_level_0__"):
        if name in names:
            return name
    raise RecordError(
        Cause.MISSING_KEY, f"{path} has no column 'task'; it has {', '.join(names)[:300]}"
    )


def _is_place(value: object) -> bool:
    """A number or a time; not a NaN."""
    return isinstance(value, int | float) and value >= 0


def _length(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _texts(value: object) -> tuple[str, ...]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return tuple(text for text in listed if isinstance(text, str))
