"""Files that are either whole or not there, whenever the process ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

UNFINISHED = ".unfinished"
"""Ends the name of what is being written."""


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader never meets half of it."""
    unfinished = path.with_name(path.name + UNFINISHED)
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Write JSON as `write_whole` does."""
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
