"""Streams JSON values from text: the items of a list, or one line. A bad item costs only itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOBase
from typing import Any

CHUNK_SIZE = 2**20
"""Characters that are read from a file at a time."""

MAX_ITEM_LENGTH = 64 * 2**20
"""The longest item of a list that is read, in characters."""

MAX_DIGITS = 4000
"""The longest integer that is read, in characters. Python itself refuses more than 4,300 digits."""

_LONGEST_NUMBER_TAIL = len("e+")
_BLANKS = re.compile(r"[ \t\n\r]*")
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_TOO_DEEP = "nested too deeply"


@dataclass(frozen=True)
class BadItem:
    """An item that is JSON, but cannot be a record.

    Attributes:
        reason: What is wrong with it, in one phrase.
    """

    reason: str


class NotAListError(ValueError):
    """The text is valid JSON, but not a list; `value` is what it holds."""

    def __init__(self, value: object) -> None:
        super().__init__("not a list")
        self.value = value


def stream_list(stream: TextIOBase) -> Iterator[Any]:
    """Yield the items of the JSON list that a text stream holds.

    An item with a repeated key, an integer of more than `MAX_DIGITS` digits or too deep nesting is
    a `BadItem`.

    Raises:
        json.JSONDecodeError: the text is not JSON. The items before the error are yielded first;
            `pos` counts characters from the start of the stream.
        NotAListError: the text is another JSON value.
    """
    window = _Window(stream)
    if window.peek() != "[":
        value = window.decode_item()
        window.require_end()
        if isinstance(value, BadItem):
            raise window.error(value.reason)
        raise NotAListError(value)
    window.skip()
    is_last = window.peek() == "]"
    if is_last:
        window.skip()
    while not is_last:
        window.peek()
        yield window.decode_item()
        delimiter = window.peek()
        if delimiter not in (",", "]"):
            raise window.error("Expecting ',' delimiter")
        is_last = delimiter == "]"
        window.skip()
    window.require_end()


def decode_line(line: str) -> Any:
    """The JSON value of one line, or a `BadItem`; a line that is not JSON is one, too."""
    try:
        value, end = _DECODER.decode(line, _skip_blanks(line, 0))
    except json.JSONDecodeError as error:
        return BadItem(str(error))
    except RecursionError:
        return BadItem(_TOO_DEEP)
    end = _skip_blanks(line, end)
    return (
        value if end == len(line) else BadItem(str(json.JSONDecodeError("Extra data", line, end)))
    )


class _Decoder:
    """A JSON decoder that notices what Python would read silently or refuse with another error."""

    def __init__(self) -> None:
        self._flaw = ""
        self._decoder = json.JSONDecoder(parse_int=self._integer, object_pairs_hook=self._object)

    def decode(self, text: str, start: int) -> tuple[Any, int]:
        """The value that starts here, or a `BadItem`, and its end.

        Raises:
            json.JSONDecodeError: the text is not JSON.
            RecursionError: the value is nested too deeply.
        """
        self._flaw = ""
        value, end = self._decoder.raw_decode(text, start)
        return (BadItem(self._flaw) if self._flaw else value), end

    def _integer(self, text: str) -> int:
        if len(text) > MAX_DIGITS:
            self._flaw = f"an integer has {len(text):,} digits; at most {MAX_DIGITS:,} are read"
            return 0
        return int(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            seen = set[str]()
            repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
            self._flaw = f"the key {repeated[:60]!r} occurs twice in one object; keep one"
        return fields


_DECODER = _Decoder()


class _Window:
    """The part of a text stream that was read and not yet decoded."""

    def __init__(self, stream: TextIOBase) -> None:
        self._stream = stream
        self._buffer = ""
        self._start = 0
        self._dropped = 0

    def peek(self) -> str:
        """Skip blanks and return the next character, or an empty string at the end."""
        while True:
            self._start = _skip_blanks(self._buffer, self._start)
            if self._start < len(self._buffer):
                return self._buffer[self._start]
            if not self._read_more(CHUNK_SIZE):
                return ""

    def skip(self) -> None:
        self._start += 1

    def require_end(self) -> None:
        if self.peek():
            raise self.error("Extra data")

    def decode_item(self) -> Any:
        """Decode the value that starts here; each time it is incomplete, read twice as much."""
        size = CHUNK_SIZE
        while True:
            try:
                value, end = _DECODER.decode(self._buffer, self._start)
            except json.JSONDecodeError as error:
                if not self._read_more(size):
                    raise self.error(error.msg, error.pos) from error
            except RecursionError:
                value, end = BadItem(_TOO_DEEP), _end_of_nested(self._buffer, self._start)
                if end is not None:
                    self._start = end
                    return value
                if not self._read_more(size):
                    raise self.error(f"{_TOO_DEEP}, and not closed") from None
            else:
                # A number at the end of the buffer may continue in the next chunk: `1` `.5`.
                if end + _LONGEST_NUMBER_TAIL < len(self._buffer) or not self._read_more(size):
                    self._start = end
                    return value
            if len(self._buffer) - self._start > MAX_ITEM_LENGTH:
                raise self.error(f"an item is longer than {MAX_ITEM_LENGTH:,} characters")
            size *= 2

    def error(self, message: str, position: int | None = None) -> json.JSONDecodeError:
        """An error at a position of the buffer; None means the current one."""
        at = self._start if position is None else position
        return json.JSONDecodeError(message, "", self._dropped + at)

    def _read_more(self, size: int) -> bool:
        more = self._stream.read(size)
        if more:
            self._buffer = self._buffer[self._start :] + more
            self._dropped += self._start
            self._start = 0
        return bool(more)


def _skip_blanks(text: str, start: int) -> int:
    blanks = _BLANKS.match(text, start)
    return blanks.end() if blanks else start


def _end_of_nested(text: str, start: int) -> int | None:
    """The end of the list or object that starts here, or None if the text ends first."""
    depth = 0
    for found in _STRUCTURE.finditer(text, start):
        mark = found[0]
        if mark == '"':
            return None
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if not depth:
            return found.end()
    return None
