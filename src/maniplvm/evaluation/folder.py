"""The folder of an evaluation, which an interrupted run resumes: settings, completions, executions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction, read_predictions
from maniplvm.evaluation.protocols import Outcome
from maniplvm.files import locked, read_records, unwritable, write_json

PREDICTIONS_FILE = "predictions.jsonl"
EXECUTIONS_FILE = "executions.jsonl"
SETTINGS_FILE = "settings.json"

_FORMAT = "maniplvm.evaluation-settings/1"


class AppendOnlyFile:
    """A text file to which one process appends lines; its folder must be locked.

    The file holds whole lines only. A line that was cut by a crash or a full disk is removed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file for appending, and create it if it is missing.

        Raises:
            UserError: the file cannot be written.
        """
        self.path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        _remove_partial_line(path)

    def append(self, line: str) -> None:
        """Append a line with its newline; it has reached the operating system on return.

        Raises:
            UserError: it could not be written; the file then ends with the previous line.
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
        """Close the file."""
        self._file.close()

    def __enter__(self) -> AppendOnlyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EvaluationFolder:
    """The stored state of an evaluation.

    `settings.json` holds the settings that affect the completions (model, decoding, data, samples)
    and the last scoring settings. An evaluation resumes only with the same settings; the scoring
    settings may change.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Start an evaluation, or resume one.

        Args:
            folder: The folder, created if it is missing.
            settings: All settings that affect the completions, as JSON data.

        Raises:
            UserError: the folder holds an evaluation with other settings, or other files.
        """
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))
        self._settings_path = folder / SETTINGS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: the folder cannot be created ({error.strerror})") from error
        self._scoring: Any = None
        self._lines: dict[str, int] = {}
        if self._settings_path.exists():
            self._resume()
        elif self.predictions_path.exists():
            raise UserError(
                f"{folder}: has predictions, but no settings.json; choose another --out"
            )
        else:
            with locked(folder):
                self._write()

    @property
    def predictions_path(self) -> Path:
        """The file of completions, in the order of arrival."""
        return self.folder / PREDICTIONS_FILE

    @property
    def executions_path(self) -> Path:
        """The file of execution outcomes, in the order of arrival."""
        return self.folder / EXECUTIONS_FILE

    def is_scored(self, scoring: Mapping[str, Any]) -> bool:
        """Whether the evaluation is finished, with these scoring settings, and no line is missing."""
        return self._scoring == json.loads(json.dumps(scoring)) and self._missing_lines() is None

    def check_lines(self) -> None:
        """Check that no line is missing since the evaluation was finished.

        Raises:
            UserError: a file was cut, for example by a power loss.
        """
        if (name := self._missing_lines()) is not None:
            raise UserError(
                f"{self.folder / name}: lines are missing; run the command of the evaluation again"
            )

    def _missing_lines(self) -> str | None:
        counts = self._count_lines()
        return next((name for name, n in self._lines.items() if counts.get(name, 0) < n), None)

    def _count_lines(self) -> dict[str, int]:
        paths = (self.predictions_path, self.executions_path)
        return {path.name: path.read_bytes().count(b"\n") for path in paths if path.is_file()}

    def reopen(self) -> None:
        """Store that it is not finished, before its results are replaced."""
        if self._scoring is not None:
            self._scoring = None
            self._write()

    def finish(self, scoring: Mapping[str, Any]) -> None:
        """Store that it is finished, with these scoring settings."""
        self._scoring = json.loads(json.dumps(scoring))
        self._lines = self._count_lines()
        self._write()

    def predictions(self) -> list[Prediction]:
        """The completions so far."""
        path = self.predictions_path
        return read_predictions(path) if path.exists() and path.stat().st_size else []

    def outcomes(self) -> dict[tuple[str, int], Outcome]:
        """The executions so far, by id and draw."""
        return {
            (record["id"], record["draw"]): Outcome(record["success"], record["reason"])
            for record in read_records(self.executions_path)
        }

    def _resume(self) -> None:
        content = _read_settings_file(self._settings_path)
        if content["format"] != _FORMAT:
            raise UserError(
                f"{self._settings_path}: has another format version; choose another --out"
            )
        self._scoring, self._lines = content["scored"], content["lines"]
        difference = _first_difference(content["asked"], self._settings)
        if difference is not None:
            key, old, new = difference
            raise UserError(
                f"{self.folder}: holds another evaluation: {key} was {json.dumps(old)}, "
                f"now {json.dumps(new)}; choose another --out, or remove that folder"
            )

    def _write(self) -> None:
        content = {
            "format": _FORMAT,
            "asked": self._settings,
            "scored": self._scoring,
            "lines": self._lines,
        }
        write_json(self._settings_path, content)


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of an evaluation that affect its completions, from `settings.json`.

    Raises:
        UserError: the folder has no such file, or a damaged one.
    """
    return dict(_read_settings_file(folder / SETTINGS_FILE)["asked"])


def _read_settings_file(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            **{key: content[key] for key in ("format", "asked", "scored")},
            "lines": dict(content.get("lines", {})),  # missing in files of earlier versions
        }
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a folder that `maniplvm evaluate` wrote"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the settings of an evaluation ({error!r}); choose another folder"
        ) from error


def _remove_partial_line(path: Path) -> None:
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
