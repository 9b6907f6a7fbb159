"""One reader for each published format; a new format is one more file and one more line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from maniplvm.data.readers import _robot_view as robot_view
from maniplvm.data.readers import (
    jsonl,
    maniplvm,
    roboafford,
    roborefit,
    sharerobot,
    sharerobot_bench,
    vait,
)
from maniplvm.data.readers.lerobot import reader as lerobot
from maniplvm.data.readers.rlds import reader as rlds
from maniplvm.data.readers.umd import reader as umd
from maniplvm.data.record_errors import BadRecord
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

Reader: TypeAlias = Callable[..., Iterator[Sample | BadRecord]]
"""Takes the source, the image root (None: the format's own place) and its own options by name."""


@dataclass(frozen=True)
class Format:
    """A format that `maniplvm data import` knows.

    Attributes:
        name: What the command line calls it.
        read: Its reader.
        description: One line for a person.
        homepage: Where the data are published.
        options: Names of the reader's own options; the command line spells them as
            `flag` does.
    """

    name: str
    read: Reader
    description: str
    homepage: str = ""
    options: tuple[str, ...] = ()

    def samples(
        self, source: Path, images: Path | None, options: Mapping[str, Any]
    ) -> Iterator[Sample | BadRecord]:
        """Read a source with this format's reader.

        Args:
            source: The file or folder to read.
            images: What image names are relative to; None means the format's usual place.
            options: The reader's own options by name.

        Raises:
            UserError: an option that the format does not take (those that it takes are listed),
                or whatever the reader refuses.
        """
        for name in options:
            if name not in self.options:
                taken = ", ".join(map(flag, self.options)) or "no option of its own"
                raise UserError(f"format {self.name} takes no {flag(name)}; it takes {taken}")
        return self.read(source, images, **options)


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
        Format(
            umd.NAME,
            umd.read,
            "UMD Part Affordance: tools with a label for every pixel",
            "https://users.umiacs.umd.edu/~fermulcm/affordance/part-affordance-dataset/",
            umd.OPTIONS,
        ),
        Format(
            sharerobot_bench.NAME,
            sharerobot_bench.read,
            "ShareRobot-Bench: conversations whose answer is a box or a trajectory",
            "https://huggingface.co/datasets/BAAI/ShareRobot-Bench",
            sharerobot_bench.OPTIONS,
        ),
        Format(
            vait.NAME,
            vait.read,
            "VAIT of LLARVA: conversations whose answer holds a trace and actions",
            "https://github.com/Dantong88/LLARVA",
            vait.OPTIONS,
        ),
        Format(
            roborefit.NAME,
            roborefit.read,
            "RoboRefIt and files like it: {problem, image, bbox}",
            "https://github.com/luyh20/VL-Grasp",
        ),
        Format(
            roboafford.NAME,
            roboafford.read,
            "RoboAfford-Eval: points judged by a mask, or by polygons",
            "https://github.com/tyb197/RoboAfford",
        ),
        Format(
            lerobot.NAME,
            lerobot.read,
            "LeRobot episodes, v2.0 to v3.0, seen by one calibrated camera",
            "https://github.com/huggingface/lerobot",
            robot_view.OPTIONS,
        ),
        Format(
            rlds.NAME,
            rlds.read,
            "RLDS episodes (TFDS's .tfrecord files), seen by one calibrated camera",
            "https://github.com/google-research/rlds",
            robot_view.OPTIONS,
        ),
    )
}


def flag(option: str) -> str:
    """How the command line spells an option of a reader."""
    return f"--{option.replace('_', '-')}"


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        UserError: there is none; the valid names are listed.
    """
    if name not in FORMATS:
        raise UserError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
    return FORMATS[name]
