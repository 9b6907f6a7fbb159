"""The folder of an evaluation: written as it comes, continued where it stopped, never mixed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction, read_predictions
from maniplvm.evaluation.scored import Outcome
from maniplvm.files import unwritable, write_json

_FORMAT = "maniplvm.evaluation-settings/1"


class Journal:
    """A file of lines that only grows, by one process at a time.

    A line is there as a whole or not at all: one that was cut short, by a crash or a full disk,
    is dropped.
    """

    def __init__(self, path: Path) -> None:
        """Open it for appending, and create it if it is missing.

        Raises:
            UserError: it cannot be written, or another process writes it now.
        """
        self.path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        if _is_written_by_another(self._file):
            self._file.close()
            raise UserError(
                f"{path}: another process writes it now; wait for it, or choose another --out"
            )
        _drop_torn_line(path)

    def append(self, line: str) -> None:
        """Add a line, its end included; it is with the operating system when this returns.

        Raises:
            UserError: it could not be written; the file then ends with the line before.
        """
        whole = self._file.seek(0, os.SEEK_END)
        rest = memoryview(line.encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(whole)
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """End writing."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EvaluationFolder:
    """What an evaluation has so far.

    `settings.json` says what was asked (model, decoding, data, samples) and how it was last
    scored. Completions may only be continued under the same asking; scoring may change freely.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        """Begin an evaluation, or continue one.

        Args:
            folder: Created if it is missing.
            asked: All that decides the completions, JSON-ready.

        Raises:
            UserError: the folder holds an evaluation that asked something else, or other files.
        """
        self.folder = folder
        self._asked = json.loads(json.dumps(asked))
        self._settings = folder / "settings.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be a folder ({error.strerror})") from error
        self._scored: Any = None
        if self._settings.exists():
            self._continue()
        elif self.predictions_path.exists():
            raise UserError(
                f"{folder}: holds predictions, but no settings.json that says whose; "
                "choose another --out"
            )
        else:
            self._write()

    @property
    def predictions_path(self) -> Path:
        """Completions as they came."""
        return self.folder / "predictions.jsonl"

    @property
    def samples_path(self) -> Path:
        """Scored completions."""
        return self.folder / "samples.jsonl"

    def is_scored(self, scoring: Mapping[str, Any]) -> bool:
        """Whether the evaluation is finished, and was scored in this way."""
        return self._scored == json.loads(json.dumps(scoring))

    def finish(self, scoring: Mapping[str, Any]) -> None:
        """Note that it was scored in this way."""
        self._scored = json.loads(json.dumps(scoring))
        self._write()

    def journal(self, name: str) -> Journal:
        """A file of this folder to append to."""
        return Journal(self.folder / name)

    def predictions(self) -> list[Prediction]:
        """The completions so far."""
        path = self.predictions_path
        return read_predictions(path) if path.exists() and path.stat().st_size else []

    def outcomes(self) -> dict[tuple[str, int], Outcome]:
        """The executions so far, by id and draw."""
        return {
            (record["id"], record["draw"]): Outcome(record["success"], record["reason"])
            for record in _records(self.folder / "executions.jsonl")
        }

    def _continue(self) -> None:
        try:
            content = json.loads(self._settings.read_text(encoding="utf-8"))
            known, before = content["format"] == _FORMAT, content["asked"]
            self._scored = content["scored"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._settings}: not the settings of an evaluation ({error!r}); "
                "choose another --out"
            ) from error
        if not known:
            raise UserError(f"{self._settings}: not of this version; choose another --out")
        difference = _first_difference(before, self._asked)
        if difference is not None:
            key, old, new = difference
            raise UserError(
                f"{self.folder}: holds another evaluation: {key} was {json.dumps(old)}, "
                f"now {json.dumps(new)}; choose another --out, or remove that folder"
            )

    def _write(self) -> None:
        content = {"format": _FORMAT, "asked": self._asked, "scored": self._scored}
        write_json(self._settings, content)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line:
                yield json.loads(line)


def _is_written_by_another(file: IO[bytes]) -> bool:
    """Whether another process holds the file's lock; if none does, it is ours until we close it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # a file system without locks cannot tell, and is written as before
        return error.errno in (errno.EAGAIN, errno.EACCES)
    return False


def _drop_torn_line(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _first_difference(before: Any, now: Any, path: str = "") -> tuple[str, Any, Any] | None:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*now, *before]):
            name = f"{path}.{key}" if path else key
            found = _first_difference(before.get(key), now.get(key), name)
            if found is not None:
                return found
        return None
    return None if before == now else (path, before, now)
