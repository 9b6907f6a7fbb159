"""Files with one JSON object in each line, to which a process appends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files.atomic import write_whole

_ADVICE = "remove this line and all later ones, then run the command that wrote the file"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of all complete lines.

    A last line without a line end is skipped: the process that wrote it was stopped.

    Args:
        path: The file. A missing file has no lines.

    Raises:
        UserError: the file cannot be read, or a complete line holds no JSON object. The message
            names the line.
    """
    if not path.is_file():
        return
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: damaged ({error}); {_ADVICE}") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number}: not a JSON object; {_ADVICE}")
        yield record


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line, and create the file if it is missing."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace the whole file.

    Raises:
        UserError: it cannot be written.
    """
    write_whole(path, "".join(json.dumps(record) + "\n" for record in records))
