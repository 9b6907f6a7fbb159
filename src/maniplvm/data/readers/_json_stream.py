"""The items of a JSON list, one by one: a file of millions of records never sits in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import TextIOBase
from typing import Any

CHUNK = 2**20
"""Characters that are read at a time."""

MAX_ITEM = 64 * 2**20
"""The longest item that is read, in characters."""

_LONGEST_JOINT = len("e+")
_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


class NotAListError(ValueError):
    """The text is JSON, but no list.

    Attributes:
        value: What it is instead.
    """

    def __init__(self, value: object) -> None:
        super().__init__("not a list")
        self.value = value


def stream_list(stream: TextIOBase) -> Iterator[Any]:
    """Yield the items of the JSON list that a stream of text holds.

    Raises:
        json.JSONDecodeError: not JSON; raised after the items before the fault.
        NotAListError: it is another JSON value.
        RecursionError: an item is nested too deeply.
    """
    text = _Text(stream)
    if text.next() != "[":
        raise NotAListError(json.loads(text.rest()))
    text.skip(1)
    if text.next() == "]":
        text.skip(1)
    else:
        yield from _items(text)
    if text.next():
        raise json.JSONDecodeError("Extra data", "", 0)


def _items(text: _Text) -> Iterator[Any]:
    while True:
        text.next()
        yield text.item()
        mark = text.next()
        if mark not in (",", "]"):
            raise json.JSONDecodeError("Expecting ',' delimiter", "", 0)
        text.skip(1)
        if mark == "]":
            return


class _Text:
    """A window on the stream: what was read and not yet used."""

    def __init__(self, stream: TextIOBase) -> None:
        self._stream = stream
        self._buffer = ""
        self._start = 0

    def next(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._buffer, self._start)
            self._start = blanks.end() if blanks else self._start
            if self._start < len(self._buffer):
                return self._buffer[self._start]
            if not self._grow(CHUNK):
                return ""

    def skip(self, count: int) -> None:
        self._start += count

    def rest(self) -> str:
        return self._buffer[self._start :] + self._stream.read()

    def item(self) -> Any:
        """The value that begins here. Twice as much is read each time that it does not suffice."""
        size = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._start)
            except json.JSONDecodeError as error:
                if not self._grow(size):
                    raise json.JSONDecodeError(error.msg, "", 0) from error
            else:
                # A number near the window's end may go on behind it, as `1` does in `1` `.5`.
                if end + _LONGEST_JOINT < len(self._buffer) or not self._grow(size):
                    self._start = end
                    return value
            if len(self._buffer) - self._start > MAX_ITEM:
                raise json.JSONDecodeError(f"no end of it in {MAX_ITEM:,} characters", "", 0)
            size *= 2

    def _grow(self, size: int) -> bool:
        more = self._stream.read(size)
        if more:
            self._buffer = self._buffer[self._start :] + more
            self._start = 0
        return bool(more)
