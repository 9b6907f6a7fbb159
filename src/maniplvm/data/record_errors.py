"""What can be wrong with one record of a source, by cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a record was refused. The value is what a person reads."""

    NOT_JSON = "not JSON"
    WRONG_TYPE = "wrong type"
    MISSING_KEY = "missing key"
    UNKNOWN_KEY = "unknown key"
    BAD_VALUE = "bad value"
    MISSING_IMAGE = "missing image"
    UNREADABLE_IMAGE = "unreadable image"
    OVERSIZED_IMAGE = "oversized image"
    ESCAPING_PATH = "path escapes the image root"
    SIZE_MISMATCH = "image size disagrees"
    NOT_FINITE = "number not finite"
    NOT_PIXELS = "target not in pixels"
    EMPTY_BOX = "empty box"
    TOO_FEW_POINTS = "too few points"
    OUTSIDE_IMAGE = "target outside the image"
    DUPLICATE_ID = "duplicate id"
    MISSING_FILE = "missing file"
    DAMAGED_FILE = "damaged file"
    UNREADABLE_VIDEO = "unreadable video"


class RecordError(Exception):
    """Raised while one record is read; the reader adds file, index and id to make a `BadRecord`.

    Attributes:
        cause: The kind of problem.
        detail: One line: what is wrong, and what to do where that is not obvious.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True)
class BadRecord:
    """A record that could not become a sample.

    Attributes:
        file: The file it stands in.
        place: Where in the file: `record 3` of a JSON list (from 0), `line 4` of JSONL (from 1).
        id: What the record calls itself, or None.
        cause: The kind of problem.
        detail: One line for a person.
    """

    file: str
    place: str
    id: str | None
    cause: Cause
    detail: str

    def __str__(self) -> str:
        name = "" if self.id is None else f" (id {self.id})"
        return f"{self.file}, {self.place}{name}: {self.cause}: {self.detail}"


class UniqueIds:
    """Refuses a second sample with the same id within one source."""

    def __init__(self) -> None:
        self._place_of: dict[str, str] = {}

    def check(self, id: str, file: str, place: str) -> None:
        """Register the id of a sample.

        Args:
            id: The sample's id.
            file: The file that holds its record.
            place: The record's place in the file.

        Raises:
            RecordError: an earlier sample has the same id; its file and place are given.
        """
        if id in self._place_of:
            raise RecordError(
                Cause.DUPLICATE_ID,
                f"{id!r} is already the id of {self._place_of[id]}; rename one of them",
            )
        self._place_of[id] = f"{file}, {place}"
