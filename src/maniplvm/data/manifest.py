"""`dataset.json`, the description of a stored data set."""

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
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
"""Valid names of a split. The name is also a file name, so it must not be a path."""


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set, known without its parquet files.

    Attributes:
        name: Name of the data set.
        description: One paragraph that describes the data.
        license: Licence of images and labels, `unknown` if it is not stated.
        homepage: Address of the data's source, or an empty string.
        counts: Number of samples by split, then by task, in the order of writing.
        versions: Versions of the packages that wrote it, by name.
        extra: Additional JSON-ready data from the writer (settings, seeds...).
        schema_version: Version of the columns; see `schema.SCHEMA_VERSION`.
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
        UserError: the folder or the file is missing, the file was not written by
            `DatasetInfo.write`, or it comes from a newer version of this package.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise UserError(
            f"{folder}: not a data set ({MANIFEST_NAME} is missing); "
            "create one with `maniplvm data import`"
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
