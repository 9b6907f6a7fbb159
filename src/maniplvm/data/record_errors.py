"""Errors of single records: a code for statistics, and one line for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_LONGEST, _KEPT = 1000, 400
"""Longest error line, and how much of both ends is kept of a longer one, in characters."""


class ErrorCode(StrEnum):
    """Why a record was rejected. The value is the text that users read."""

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
    """One record cannot be read. The reader adds the file, the place and the id (`BadRecord`).

    Attributes:
        code: The kind of error.
        detail: One line: what is wrong and, where it is not obvious, what to do.
    """

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class BadRecord:
    """A record that could not become a sample.

    Attributes:
        file: The path of the file that holds the record.
        place: The position in the file: `record 3` of a JSON list (counted from 0), `line 4` of
            a JSONL file (counted from 1), or `episode 7`.
        id: The id that the record gives itself, or None.
        code: The kind of error.
        detail: One line for a person.
    """

    file: str
    place: str
    id: str | None
    code: ErrorCode
    detail: str

    def __str__(self) -> str:
        name = "" if self.id is None else f" (id {self.id})"
        text = printable(f"{self.file}, {self.place}{name}: {self.code}: {self.detail}")
        return text if len(text) <= _LONGEST else f"{text[:_KEPT]} … {text[-_KEPT:]}"


def printable(text: str) -> str:
    r"""The text with every control character and lone surrogate as an escape, such as `\x1b`."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
