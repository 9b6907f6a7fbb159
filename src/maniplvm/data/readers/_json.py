"""Sources made of JSON files: which files, where their images are, and their records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers._json_record import Record, SourceFile
from maniplvm.data.readers._json_stream import NotAListError, stream_list
from maniplvm.data.record_errors import BadRecord, Cause
from maniplvm.data.validation import shown
from maniplvm.errors import UserError

_SUFFIXES = (".json", ".jsonl")


def json_records(
    source: Path, images: Path | None, name_parts: tuple[str, ...] = ()
) -> Iterator[Record | BadRecord]:
    """Yield the records of a source, file by file in the order of their names.

    Args:
        source: A `.json` file (a list of objects), a `.jsonl` file (one object a line), or a
            folder with such files at any depth.
        images: What image names are relative to. None: the folder `images` beside each file if
            there is one, else the file's own folder.
        name_parts: In a folder, only files whose names contain one of these are read.

    Raises:
        UserError: there is no such source or image folder, no file in it fits, or a file is not
            UTF-8 text, not JSON, or no list.
    """
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: no such image folder; give the folder that holds the images")
    for path in _paths(source, name_parts):
        name = path.relative_to(source).as_posix() if source.is_dir() else path.name
        file = SourceFile(path, name, images or _default_images(path))
        try:
            yield from _lines(file) if path.suffix == ".jsonl" else _list(file)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text ({error.reason}); convert it") from error


def _paths(source: Path, name_parts: tuple[str, ...]) -> list[Path]:
    if source.is_file():
        if source.suffix not in _SUFFIXES:
            raise UserError(f"{source}: expected a {' or '.join(_SUFFIXES)} file or a folder")
        return [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    found = sorted(path for path in source.rglob("*") if path.suffix in _SUFFIXES)
    fitting = [
        path for path in found if not name_parts or any(part in path.name for part in name_parts)
    ]
    if not fitting:
        wanted = f" named after {' or '.join(name_parts)}" if name_parts else ""
        there = ", ".join(path.name for path in found[:5]) or "none at all"
        raise UserError(
            f"{source}: holds no {' or '.join(_SUFFIXES)} file{wanted} (found: {there}); "
            "name the file itself"
        )
    return fitting


def _default_images(path: Path) -> Path:
    beside = path.parent / "images"
    return beside if beside.is_dir() else path.parent


def _list(file: SourceFile) -> Iterator[Record | BadRecord]:
    index = 0
    try:
        with file.path.open(encoding="utf-8-sig") as stream:
            for index, value in enumerate(stream_list(stream)):
                yield _record(file, f"record {index}", index, value)
    except NotAListError as error:
        raise UserError(
            f"{file.path}: expected a list of records, got {shown(error.value)}"
        ) from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file.path}: not JSON ({error.msg}, in or after record {index}); "
            "one record a line belongs in a .jsonl file"
        ) from error
    except RecursionError as error:
        raise UserError(f"{file.path}: nested too deeply to be a list of records") from error


def _lines(file: SourceFile) -> Iterator[Record | BadRecord]:
    with file.path.open(encoding="utf-8-sig") as stream:
        for index, line in enumerate(stream):
            if not line.strip():
                continue
            place = f"line {index + 1}"
            try:
                value = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                yield BadRecord(str(file.path), place, None, Cause.NOT_JSON, str(error))
            else:
                yield _record(file, place, index, value)


def _record(file: SourceFile, place: str, index: int, value: object) -> Record | BadRecord:
    if isinstance(value, dict):
        return Record(file, place, index, cast("dict[str, Any]", value))
    detail = f"a record is an object, got {shown(value)}"
    return BadRecord(str(file.path), place, None, Cause.WRONG_TYPE, detail)
