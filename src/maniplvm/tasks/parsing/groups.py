"""Free text to groups: brackets with the numbers, keys and inner groups that they hold.

The text is tokenized once from left to right. Three kinds of text without brackets also form a group:
location tokens, numbers with axis names (`x: 10, y: 20`), and numbers in a tag (`<point>10 20</point>`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from maniplvm.tasks.parsing.spelling import NUMBER, Quoted, key_of, number_of

MAX_DEPTH = 16
"""Maximum depth of nested brackets. Deeper brackets are skipped."""

_BARE = r"(?=\s{0,8}+[-+]?[\d.][-+\d.,;\s]{0,200}+"
_CORNER = r"(?:top|upper|bottom|lower)[\s_-]?(?:left|right)"
_TOKEN = re.compile(
    rf"""
      (?P<open>[\[({{])
    | (?P<close>[\])}}])
    | (?P<marker>^[ \t]{{0,16}}+(?:[-*•‣–]|\d{{1,3}}+[.):])[ \t]{{1,8}}+)
    | (?P<location><loc_?\d{{1,4}}>)
    | (?P<tag_open><(?:point|box|bbox)>{_BARE}</))
    | (?P<neutral></?(?:points?|box|bbox|trace|trajectory)>)
    | (?P<attributes><(?:points?|tracks)\s[^<>]*+)
    | (?P<angle_open><{_BARE}>))
    | (?P<angle_close>>)
    | (?P<label>\b(?:(?:point|pt|p|step|waypoint|frame|t)[ \t_=]{{0,4}}+\#?\d{{1,3}}+
        |(?:start|begin|middle|mid|via|goal|final|end)(?:[ \t](?:point|position))?+)[ \t]{{0,4}}+[:=.)-])
    | (?P<corner>\b{_CORNER}\b(?:[\s-]?(?:corner|point))?+(?:\s(?:is\b|at\b)){{0,2}}+(?:\s?[:=])?+)
    | (?P<call>\b(?:point|pixel|waypoint|box|bbox|rect|list|tuple|(?:np\.|numpy\.|torch\.)?+
        (?:array|tensor))(?:2d)?+(?=\())
    | (?P<spelled>(?<![\w.])\d++(?:\.\d++)?+\s?(?:/\s?\d|[_'’]\d|[×*x]\s?10\b)|\b0x[0-9a-f])
    | (?P<number>(?<![\w.]){NUMBER}(?:\s?(?:%|(?:px|pixels?)\b)|(?![\w.%])))
    | (?P<infinite>(?<![\w.])[-+]?(?:nan|inf|infinity)\b)
    | (?P<joint>,|;|-{{0,2}}>|=>|[→⇒➔➜⟶]|[-–—~](?=\s{{0,8}}+[\[(])|(?:and|to|then)\b)
    | (?P<name>(?:[a-z_][\w-]{{0,63}}+|"[a-z_][\w -]{{0,63}}+"|'[a-z_][\w -]{{0,63}}+')\s{{0,8}}+
        (?::|=(?![=>])))
    | (?P<quoted>(?<!\w)["']\s?{NUMBER}\s?["'](?!\w))
    | (?P<string>(?<!\w)(?:"[^"\n\[\](){{}}]{{0,200}}"|'[^'\n\[\](){{}}]{{0,200}}')(?!\w))
    | (?P<format>[*`$]++|\\(?:left|right|[,;!])?+)
    | (?P<other>[\w.+-]++|\S)
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
"""Every quantifier is bounded or possessive, so the regular expression never backtracks far."""

_PARTNER = {"]": "[", ")": "(", "}": "{"}
_TAG, _ANGLE, _NO_BRACKET = "<tag>", "<", ""

AXES = frozenset(
    f"{axis}{end}" for axis in "xy" for end in ("", "0", "1", "2", "min", "max")
) | frozenset(("cx", "cy", "width", "height"))
"""Keys that start a group without brackets."""


@dataclass
class Group:
    """A pair of brackets with its content.

    Attributes:
        bracket: The opening bracket; empty for numbers without one.
        items: Numbers and inner groups, in order.
        names: The items that follow a key, by key (see `key_of`).
        has_words: Whether there are words between the items. The group is then prose.
        named_twice: Whether a key occurs twice.
        corner: Name of the corner that the text states before the group, such as `topleft`.
        cut_off: Whether the group stood in a bracket that was not closed.
        raw: The content, if it has a semicolon.
        tight_commas: For each comma, whether the next character follows without white space.
    """

    bracket: str
    items: list[float | Group] = field(default_factory=list["float | Group"])
    names: dict[str, float | Group] = field(default_factory=dict[str, "float | Group"])
    has_words: bool = False
    named_twice: bool = False
    corner: str | None = None
    cut_off: bool = False
    raw: str = ""
    tight_commas: list[bool] = field(default_factory=list[bool])

    def add(self, item: float | Group, name: str | None) -> None:
        """Append an item, under a key if there is one."""
        self.items.append(item)
        if name is not None:
            self.named_twice = self.named_twice or name in self.names
            self.names[name] = item


Item: TypeAlias = float | Group


@dataclass
class Groups:
    """All groups of a text.

    Attributes:
        outer: The outermost groups in order. None stands for text between them.
        has_unsupported_number: Whether brackets hold a number that is spelled in an unsupported way.
    """

    outer: list[Group | None] = field(default_factory=list["Group | None"])
    has_unsupported_number: bool = False


@lru_cache(maxsize=1)
def read_groups(text: str) -> Groups:
    """The groups of a text in normal spelling (see `normal_spelling`).

    The result is shared by calls for one text, such as those for several tasks. Do not change it.
    """
    reader = _Reader(text)
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind != "location":
            reader.locations = None
        getattr(reader, kind)(match)
    reader.give_up()
    return reader.found


class _Reader:
    """State of the tokenizer. Each method takes the token of its name."""

    def __init__(self, text: str) -> None:
        self.found = Groups()
        self.locations: Group | None = None
        self._text = text
        self._stack = list[tuple[Group, int, str | None]]()
        self._name: str | None = None
        self._corner: str | None = None
        self._loose: Group | None = None

    def open(self, match: re.Match[str]) -> None:
        self._push(match[0], match.end())

    def tag_open(self, match: re.Match[str]) -> None:
        self._push(_TAG, match.end())

    def angle_open(self, match: re.Match[str]) -> None:
        self._push(_ANGLE, match.end())

    def close(self, match: re.Match[str]) -> None:
        self._name = None
        self._pop(_PARTNER[match[0]], match.start())

    def angle_close(self, match: re.Match[str]) -> None:
        if self._stack and self._stack[-1][0].bracket == _ANGLE:
            self._pop(_ANGLE, match.start())
        else:
            self.other(match)

    def neutral(self, match: re.Match[str]) -> None:
        if self._stack and self._stack[-1][0].bracket == _TAG:
            self._pop(_TAG, match.start())
        elif self._stack:
            self._stack[-1][0].has_words = True

    def marker(self, match: re.Match[str]) -> None:
        number = match[0].strip().rstrip(".):")
        if self._stack and number.isdecimal():
            self._append(float(number))
        elif self._stack:
            self._stack[-1][0].has_words = True

    def label(self, match: re.Match[str]) -> None:
        """A label of a point. It is a key in an object, and separates nothing elsewhere."""
        if self._stack and self._stack[-1][0].bracket == "{":
            self.name(match)

    def call(self, match: re.Match[str]) -> None:
        """The name of a constructor separates nothing."""

    def format(self, match: re.Match[str]) -> None:
        """Signs of Markdown and LaTeX separate nothing outside of brackets."""
        if self._stack and not match[0].startswith("\\"):
            self._stack[-1][0].has_words = True

    def joint(self, match: re.Match[str]) -> None:
        """A separator."""
        if self._stack and match[0] == ";":
            self._stack[-1][0].raw = ";"
        elif self._stack and match[0] == ",":
            end = match.end()
            self._stack[-1][0].tight_commas.append(not self._text[end : end + 1].isspace())

    def corner(self, match: re.Match[str]) -> None:
        if self._stack:
            self._name = key_of(match[0])
        else:
            self._corner, self._loose = key_of(match[0]), None

    def location(self, match: re.Match[str]) -> None:
        if self.locations is None:
            self.locations = Group("[")
            self._append(self.locations)
        self.locations.items.append(
            float(match[0].strip("<>").lower().removeprefix("loc").strip("_"))
        )

    def number(self, match: re.Match[str]) -> None:
        self._append(number_of(match[0]))

    infinite = number

    def quoted(self, match: re.Match[str]) -> None:
        number = number_of(match[0].strip("\"'").strip())
        self._append(Quoted(number) if self._stack else number)

    def spelled(self, match: re.Match[str]) -> None:
        if self._stack:
            self.found.has_unsupported_number = True
        self.other(match)

    def name(self, match: re.Match[str]) -> None:
        self._name = key_of(match[0])
        if self._stack:
            return
        if self._name in AXES:
            if self._loose is None or self._name in self._loose.names:
                self._loose = Group(_NO_BRACKET, corner=self._corner)
                self._corner = None
                self.found.outer.append(self._loose)
        else:
            self._loose, self._name = None, None
            self.found.outer.append(None)

    def string(self, match: re.Match[str]) -> None:
        self._name = None
        self._loose = None

    def attributes(self, match: re.Match[str]) -> None:
        self.other(match)

    def other(self, match: re.Match[str]) -> None:
        """A word. It marks the open group as prose, or separates two groups."""
        self._name = None
        if self._stack:
            self._stack[-1][0].has_words = True
        else:
            self._loose = None
            self.found.outer.append(None)

    def give_up(self) -> None:
        """Keep only the complete groups inside the open brackets, outermost first."""
        for group, _, _ in self._stack:
            for item in group.items:
                if isinstance(item, Group):
                    item.cut_off = group.bracket == "{" or not group.has_words
                    self.found.outer.append(item)
        self._stack.clear()
        self._name = None

    def _push(self, bracket: str, start: int) -> None:
        name, self._name, self._loose = self._name, None, None
        if len(self._stack) == MAX_DEPTH:
            self._stack.clear()
            return
        corner = None
        if not self._stack:
            corner, self._corner = self._corner, None
        self._stack.append((Group(bracket, corner=corner), start, name))

    def _pop(self, bracket: str, end: int) -> None:
        if not self._stack or self._stack[-1][0].bracket != bracket:
            self.give_up()
            return
        group, start, name = self._stack.pop()
        if group.raw:
            group.raw = self._text[start:end]
        self._name = name
        self._append(group)

    def _append(self, item: Item) -> None:
        name, self._name = self._name, None
        if self._stack:
            self._stack[-1][0].add(item, name)
        elif isinstance(item, Group):
            self.found.outer.append(item)
        elif self._loose is not None and name is not None:
            self._loose.add(item, name)
        else:
            self._loose = None
            self.found.outer.append(None)
