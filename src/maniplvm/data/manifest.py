"""`dataset.json`: what a stored data set says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maniplvm.data.schema import SCHEMA_VERSION
from maniplvm.errors import UserError

MANIFEST_NAME = "dataset.json"
UNKNOWN_LICENSE = "unknown"
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""A split names a file, so it can be no path."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set without opening its parquet files.

    Attributes:
        name: The data set's name.
        description: One paragraph for a reader.
        license: The licence of images and labels; `unknown` when nobody stated it.
        homepage: Where the data come from, or an empty text.
        counts: Samples by split, then by task, in the order of writing.
        versions: The packages that wrote it, by name.
        extra: Whatever the writer added (settings, seeds...): JSON-ready.
        schema_version: The version of the columns.
    """

    name: str
    description: str = ""
    license: str = UNKNOWN_LICENSE
    homepage: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, dict[str, int]])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schema_version: int = SCHEMA_VERSION

    @property
    def total(self) -> int:
        """The number of samples in all splits."""
        return sum(sum(tasks.values()) for tasks in self.counts.values())

    def write(self, folder: Path) -> None:
        """Write `dataset.json` into a folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> DatasetInfo:
    """Read `dataset.json`.

    Raises:
        UserError: the folder or the file is missing, is not what `DatasetInfo.write` writes, or
            comes from a newer version of this package.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise UserError(
            f"{folder}: not a data set ({MANIFEST_NAME} is missing); "
            "make one with `maniplvm data import`"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        info = None if version > SCHEMA_VERSION else DatasetInfo(**content)
        _require_split_names(content["counts"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: not a data set description ({type(error).__name__}: {error}); "
            "import the data set again"
        ) from error
    if info is None:
        raise UserError(
            f"{path}: schema version {version} is newer than {SCHEMA_VERSION}, the newest this "
            "package reads; upgrade maniplvm"
        )
    return info


def _require_split_names(counts: Mapping[str, Mapping[str, int]]) -> None:
    for split, tasks in counts.items():
        if not SPLIT_NAME.fullmatch(split):
            raise ValueError(f"{split!r} cannot name a split")
        sum(tasks.values())
