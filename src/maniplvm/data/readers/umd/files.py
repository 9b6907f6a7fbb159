"""The files of UMD Part Affordance: the tools of each split and their labelled frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maniplvm.data.images import EncodedImage, read_image, resolve_image
from maniplvm.data.readers.umd.matlab import read_matrix
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.errors import UserError

AFFORDANCES = ("grasp", "cut", "scoop", "contain", "pound", "support", "wrap-grasp")
"""The meaning of the labels 1 to 7. Label 0 is background."""

SPLIT_FILES = ("category", "novel")
"""The official splits: by tools within known categories, or by categories."""

_VARIABLE = "gt_label"
_FOLDER = "part-affordance-dataset"
_TOOLS = "tools"
_LABEL = "_label.mat"
_SPLIT_OF = {"1": "train", "2": "test"}
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class LabelledFrame:
    """A frame of a tool that has a label.

    Attributes:
        tool: The tool's name, such as `hammer_02`.
        number: The frame's number, as text from the file's name.
        split: The official split of the tool.
        labels: The folder that holds one folder of labels for each tool.
        images: The folder that holds one folder of images for each tool.
    """

    tool: str
    number: str
    split: str
    labels: Path
    images: Path

    @property
    def category(self) -> str:
        """The tool's category, such as `hammer`."""
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
        """The label's path."""
        return self.labels / self.tool / f"{self.tool}_{self.number}{_LABEL}"

    @property
    def place(self) -> str:
        """The frame's name in messages."""
        return f"frame {int(self.number)}"

    def read_image(self) -> EncodedImage:
        """Read the image.

        Raises:
            RecordError: the image is missing or unreadable.
        """
        return read_image(resolve_image(self.images, self.image_name))

    def read_label(self) -> NDArray[np.uint8]:
        """Read the affordance of each pixel, `(H, W)`: 0, or an index of `AFFORDANCES` plus 1.

        Raises:
            RecordError: the file is not a MATLAB file, or lacks the variable, or the variable has
                another shape or other values.
        """
        path = self.label_path
        values = read_matrix(path, _VARIABLE)
        if values.ndim != 2 or not values.size:
            raise RecordError(
                ErrorCode.WRONG_TYPE,
                f"{path} holds {_VARIABLE!r} of shape {values.shape}; expected (height, width)",
            )
        if not np.isin(values, np.arange(len(AFFORDANCES) + 1)).all():
            raise RecordError(
                ErrorCode.BAD_VALUE,
                f"{path} holds values up to {values.max()} in {_VARIABLE!r}; labels are integers "
                f"from 0 to {len(AFFORDANCES)}",
            )
        return values.astype(np.uint8)

    def to_bad_record(self, error: RecordError) -> BadRecord:
        """The `BadRecord` that reports an error of this frame."""
        name = f"{self.tool}_{self.number}"
        return BadRecord(str(self.label_path.parent), self.place, name, error.code, error.detail)


def list_frames(
    source: Path, images: Path | None, split_file: str, every: int = 1
) -> Iterator[LabelledFrame | BadRecord]:
    """Yield the labelled frames of all tools in a split file, tool by tool, in order.

    Args:
        source: The data set's folder, the one above it, or its folder `tools`.
        images: The folder with the tools' folders of images; None means the folder of the labels.
        split_file: One of `SPLIT_FILES`.
        every: The step between frame numbers of a tool, counted from its first labelled frame.

    Raises:
        UserError: the folder or the split file does not exist, or the split file is not valid.
    """
    root = _root(source)
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: no such image folder; give the folder that holds the tools")
    path = root / f"{split_file}_split.txt"
    for line, split, tool in _split_lines(path):
        folder = root / _TOOLS / tool
        if not folder.is_dir():
            detail = f"{folder} is not a folder; download the tool"
            yield BadRecord(str(path), f"line {line}", tool, ErrorCode.MISSING_FILE, detail)
            continue
        name = re.compile(rf"{re.escape(tool)}_(\d{{1,12}}){re.escape(_LABEL)}")
        numbers = sorted(
            (found[1] for entry in folder.iterdir() if (found := name.fullmatch(entry.name))),
            key=lambda number: (int(number), number),
        )
        first = int(numbers[0]) if numbers else 0
        for number in numbers:
            if (int(number) - first) % every == 0:
                yield LabelledFrame(tool, number, split, root / _TOOLS, images or root / _TOOLS)


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
    """Yield the line number, the split and the tool."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; it comes with the data set, beside {_TOOLS!r}"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}); download it again") from error
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
                f"{path}, line {number}: {parts[1]} is in line {seen[parts[1]]} too; keep one"
            )
        seen[parts[1]] = number
        yield number, _SPLIT_OF[parts[0]], parts[1]
