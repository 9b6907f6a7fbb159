"""The files of UMD Part Affordance: which tools, in which split, and their labelled frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.images import EncodedImage, read_image, resolve_image
from maniplvm.data.readers.umd.matlab import read_matrix
from maniplvm.data.record_errors import BadRecord, Cause, RecordError
from maniplvm.errors import UserError

AFFORDANCES = ("grasp", "cut", "scoop", "contain", "pound", "support", "wrap-grasp")
"""What the labels 1 to 7 mean; 0 is background."""

SPLIT_FILES = ("category", "novel")
"""The official splits: by tools of known categories, or by categories."""

_VARIABLE = "gt_label"
_FOLDER = "part-affordance-dataset"
_TOOLS = "tools"
_LABEL = "_label.mat"
_SPLIT_OF = {"1": "train", "2": "test"}
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Frame:
    """An image of a tool that has a label.

    Attributes:
        tool: The tool's name, such as `hammer_02`.
        number: The frame's number as the file's name spells it.
        split: The official split of the tool.
        labels: The folder that holds the tools' folders with labels.
        images: The folder that holds the tools' folders with images.
    """

    tool: str
    number: str
    split: str
    labels: Path
    images: Path

    @property
    def category(self) -> str:
        """What kind of tool it is, such as `hammer`."""
        return self.tool.rstrip("0123456789").rstrip("_") or self.tool

    @property
    def image_name(self) -> str:
        """The image's path relative to the folder of all tools."""
        return f"{self.tool}/{self.tool}_{self.number}_rgb.jpg"

    @property
    def label_name(self) -> str:
        """The label's path relative to the data set's folder."""
        return f"{_TOOLS}/{self.tool}/{self.tool}_{self.number}{_LABEL}"

    @property
    def label_path(self) -> Path:
        """Where the label is."""
        return self.labels / self.tool / f"{self.tool}_{self.number}{_LABEL}"

    @property
    def place(self) -> str:
        """The frame in words."""
        return f"frame {int(self.number)}"

    def image(self) -> EncodedImage:
        """Read the image.

        Raises:
            RecordError: missing or unreadable.
        """
        return read_image(resolve_image(self.images, self.image_name))

    def label(self) -> NDArray[np.uint8]:
        """The affordance of every pixel, `(H, W)`: 0, or an index of `AFFORDANCES` plus 1.

        Raises:
            RecordError: no MATLAB file, no such variable, another shape, or other values.
        """
        path = self.label_path
        values = read_matrix(path, _VARIABLE)
        if values.ndim != 2 or not values.size:
            raise RecordError(
                Cause.WRONG_TYPE,
                f"{path} holds {_VARIABLE!r} of shape {values.shape}; (height, width) is needed",
            )
        label = values.astype(np.uint8) if _is_known(values) else None
        if label is None:
            raise RecordError(
                Cause.BAD_VALUE,
                f"{path} holds values up to {values.max()} in {_VARIABLE!r}; labels are whole "
                f"numbers from 0 to {len(AFFORDANCES)}",
            )
        return label

    def refused(self, error: RecordError) -> BadRecord:
        """This frame as a `BadRecord`."""
        name = f"{self.tool}_{self.number}"
        return BadRecord(str(self.label_path.parent), self.place, name, error.cause, error.detail)


def frames_of(
    source: Path, images: Path | None, split_file: str, every: int = 1
) -> Iterator[Frame | BadRecord]:
    """The labelled frames of all tools that a split file names, tool by tool, in order.

    Args:
        source: The data set's folder, the one above it, or its folder `tools`.
        images: The folder with the tools' folders of images; None: the labels' own.
        split_file: One of `SPLIT_FILES`.
        every: Of each tool, take the first labelled frame and those whose numbers are so far, or
            a multiple of it, behind.

    Raises:
        UserError: no such folder, no split file, or a line in it that is none.
    """
    root = _root(source)
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: no such image folder; give the folder that holds the tools")
    path = root / f"{split_file}_split.txt"
    for line, split, tool in _split_lines(path):
        folder = root / _TOOLS / tool
        if not folder.is_dir():
            detail = f"{folder} is no folder; fetch the tool"
            yield BadRecord(str(path), f"line {line}", tool, Cause.MISSING_FILE, detail)
            continue
        name = re.compile(rf"{re.escape(tool)}_(\d{{1,12}}){re.escape(_LABEL)}")
        numbers = sorted(
            (found[1] for entry in folder.iterdir() if (found := name.fullmatch(entry.name))),
            key=lambda number: (int(number), number),
        )
        first = int(numbers[0]) if numbers else 0
        for number in numbers:
            if (int(number) - first) % every == 0:
                yield Frame(tool, number, split, root / _TOOLS, images or root / _TOOLS)


def _root(source: Path) -> Path:
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    for root in (source, source / _FOLDER, source.parent if source.name == _TOOLS else source):
        if (root / _TOOLS).is_dir():
            return root
    raise UserError(
        f"{source}: holds no folder {_TOOLS!r}; give the folder {_FOLDER!r} of the download"
    )


def _split_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """The line's number, the split and the tool."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; it comes with the data set, beside {_TOOLS!r}"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}); fetch it again") from error
    seen = dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2 or parts[0] not in _SPLIT_OF or not _TOOL.fullmatch(parts[1]):
            raise UserError(
                f"{path}, line {number}: expected 1 (train) or 2 (test) and a tool's name, "
                f"got {line[:60]!r}"
            )
        if parts[1] in seen:
            raise UserError(
                f"{path}, line {number}: {parts[1]} stands in line {seen[parts[1]]} too; keep one"
            )
        seen[parts[1]] = number
        yield number, _SPLIT_OF[parts[0]], parts[1]


def _is_known(values: NDArray[np.generic]) -> bool:
    """Whether all are whole numbers from 0 to 7, whatever type stores them."""
    return bool(np.isin(values, np.arange(len(AFFORDANCES) + 1)).all())
