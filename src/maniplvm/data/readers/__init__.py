"""One reader for each published format; a new format is one more file and one more line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from maniplvm.data.problems import BadRecord
from maniplvm.data.readers import jsonl, maniplvm, sharerobot
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

Reader: TypeAlias = Callable[[Path, Path | None], Iterator[Sample | BadRecord]]
"""Takes the source and the image root (None: the format's own place), yields samples lazily."""


@dataclass(frozen=True)
class Format:
    """A format that `maniplvm data import` knows.

    Attributes:
        name: What the command line calls it.
        read: Its reader.
        description: One line for a person.
        homepage: Where the data are published.
    """

    name: str
    read: Reader
    description: str
    homepage: str = ""


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(
            sharerobot.NAME,
            sharerobot.read,
            "ShareRobot affordance.json and trajectory.json",
            "https://github.com/FlagOpen/ShareRobot",
        ),
        Format(
            maniplvm.NAME,
            maniplvm.read,
            "the {image, problem, solution} files of ManipLVM-R1",
            "https://arxiv.org/abs/2505.16517",
        ),
        Format(jsonl.NAME, jsonl.read, "our own exchange format, one object a line"),
    )
}


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        UserError: there is none; the valid names are listed.
    """
    if name not in FORMATS:
        raise UserError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
    return FORMATS[name]
