"""Text from data sets, models and servers, made safe to show: no control or hidden characters."""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS_OF_CONTROLS = 0x2400
_REPLACEMENT = "\ufffd"
_NOT_PLAIN = re.compile(r"[^\n\t -~]")
_JOINERS = "\u200c\u200d"
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Controls, format characters (bidirectional overrides, tags), surrogates, and line separators."""


def encodable(text: str) -> str:
    r"""The text with U+FFFD for each lone surrogate, which cannot be encoded as UTF-8.

    JSON can hold one, as `"\ud800"`. The two surrogates of one character become that character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def visible(text: str) -> str:
    """Replace control characters by visible symbols, and lone surrogates by U+FFFD.

    Control characters can hide text, reverse its direction, or give orders to a terminal. Line
    feeds, tabs, and the joiners of scripts and emoji stay.
    """
    return _NOT_PLAIN.sub(lambda found: _visible(found[0]), encodable(text))


def one_line(text: str) -> str:
    """The visible text on one line, with single blanks."""
    return " ".join(visible(" ".join(text.split())).split())


def shortened(text: str, length: int) -> str:
    """The text on one line, cut to a number of characters; `…` marks the cut."""
    line = one_line(text[: 8 * length])
    return line if len(line) <= length and len(text) <= 8 * length else line[:length] + "…"


def _visible(character: str) -> str:
    code = ord(character)
    if character in _JOINERS:
        return character
    if code < 0x20:
        return chr(_SYMBOLS_OF_CONTROLS + code)
    return _REPLACEMENT if unicodedata.category(character) in _HIDDEN_CATEGORIES else character
