"""Name and folder of the embedded checkpoint, which ships with the package."""

from __future__ import annotations

from pathlib import Path

import maniplvm

EMBEDDED = "embedded"
"""Name that stands for the shipped checkpoint wherever a model is given."""


def shipped_folder() -> Path:
    """Folder of the shipped checkpoint inside the package."""
    return Path(maniplvm.__file__).parent / "embedded" / "checkpoint"


def image_statistics_path() -> Path:
    """The statistics of the shipped checkpoint's training images (`data.image_statistics`)."""
    return shipped_folder() / "image_statistics.json"
