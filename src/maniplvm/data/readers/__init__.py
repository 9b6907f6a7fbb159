"""The readers of published formats. A new format is one more module and one more entry here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from maniplvm.data.readers import (
    jsonl,
    lerobot,
    maniplvm,
    rlds,
    roboafford,
    roborefit,
    sharerobot,
    sharerobot_bench,
    umd,
    vait,
)
from maniplvm.data.record_errors import BadRecord
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

Reader: TypeAlias = Callable[..., Iterator[Sample | BadRecord]]
"""Takes the source, the image root (None: the format's default) and the format's options."""


@dataclass(frozen=True)
class Format:
    """A format that `maniplvm data import` knows.

    Attributes:
        name: The format's name on the command line.
        read: The function that reads it.
        description: One line for a person.
        homepage: The address where the data are published.
        options: The names of the reader's options; `flag` gives their command-line spelling.
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
            images: The folder that image names are relative to; None means the format's default.
            options: The reader's options by name.

        Raises:
            UserError: the format has no such option (its options are listed), or the source cannot
                be read.
        """
        for name in options:
            if name not in self.options:
                valid = ", ".join(map(flag, self.options)) or "no options"
                raise UserError(f"format {self.name} has no option {flag(name)}; it has {valid}")
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
        Format(jsonl.NAME, jsonl.read, "exchange format of ManipLVM, one object a line"),
        Format(
            umd.NAME,
            umd.read,
            "UMD Part Affordance: tools with a label for each pixel",
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
            "RoboRefIt and data sets made from it: {problem, image, bbox}",
            "https://github.com/luyh20/VL-Grasp",
        ),
        Format(
            roboafford.NAME,
            roboafford.read,
            "RoboAfford-Eval: pointing with a mask or polygons",
            "https://github.com/tyb197/RoboAfford",
        ),
        Format(
            lerobot.NAME,
            lerobot.read,
            "LeRobot episodes, v2.0 to v3.0, with one calibrated camera",
            "https://github.com/huggingface/lerobot",
            lerobot.OPTIONS,
        ),
        Format(
            rlds.NAME,
            rlds.read,
            "RLDS episodes (.tfrecord files of TFDS), with one calibrated camera",
            "https://github.com/google-research/rlds",
            rlds.OPTIONS,
        ),
    )
}


def flag(option: str) -> str:
    """The command-line spelling of a reader's option."""
    return f"--{option.replace('_', '-')}"


def find_format(name: str) -> Format:
    """Look up a format by name.

    Raises:
        UserError: the name is unknown; the valid names are listed.
    """
    if name not in FORMATS:
        raise UserError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
    return FORMATS[name]
