"""How numbers and keys are spelled: other scripts, units, quotes, and synonyms of keys."""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:e[-+]?\d++)?+"
"""A number in free text. A decimal point, an exponent and any decimal digits of Unicode are allowed."""

_ASCII_OF_FULL_WIDTH = {ord(full): ord(full) - 0xFEE0 for full in map(chr, range(0xFF01, 0xFF5F))}
_SPELLING = {
    **_ASCII_OF_FULL_WIDTH,
    **dict.fromkeys(map(ord, "\u2212\ufe63"), "-"),
    **dict.fromkeys(map(ord, "\u3001\ufe50"), ","),
    **dict.fromkeys(map(ord, "\u3010\u3014"), "["),
    **dict.fromkeys(map(ord, "\u3011\u3015"), "]"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"'),
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"), ""),
    0x066B: ".",
}
"""Full-width forms, the minus sign, East Asian brackets and commas, curly quotes, and characters of
zero width."""

_SYNONYMS = {
    "w": "width",
    "h": "height",
    "left": "xmin",
    "top": "ymin",
    "right": "xmax",
    "bottom": "ymax",
    "minx": "xmin",
    "miny": "ymin",
    "maxx": "xmax",
    "maxy": "ymax",
    "centerx": "cx",
    "centery": "cy",
    "xcenter": "cx",
    "ycenter": "cy",
}
_FULLER_WORDS = (("coordinate", ""), ("coord", ""), ("corner", ""), ("centre", "center"))
_CORNER = re.compile(r"(top|upper|bottom|lower)(left|right)")
_SEPARATORS = re.compile(r"[\W_]+")


class Percent(float):
    """A number with a percent sign."""


class Pixels(float):
    """A number with the unit px."""


class Quoted(float):
    """A number in a string."""


def normal_spelling(text: str) -> str:
    """The text with ASCII brackets, signs, commas and quotes. Escaped quotes are unescaped."""
    if not text.isascii():
        text = text.translate(_SPELLING)
    return text.replace('\\"', '"')


def number_of(token: str) -> float:
    """The value of a number with its unit; infinite if it is too large."""
    token = token.lower()
    if token.endswith("%"):
        return Percent(token[:-1].strip())
    for unit in ("pixels", "pixel", "px"):
        if token.endswith(unit):
            return Pixels(token.removesuffix(unit).strip())
    return float(token)


def key_of(text: str) -> str:
    """The name of a key without quotes and separators, and in one spelling for each meaning."""
    key = _SEPARATORS.sub("", text.lower())
    for word, shorter in _FULLER_WORDS:
        key = key.replace(word, shorter)
    corner = _CORNER.match(key)
    if corner:
        return {"upper": "top", "lower": "bottom"}.get(corner[1], corner[1]) + corner[2]
    return _SYNONYMS.get(key, key)
