"""Sizes of the files of a folder, to notice files that a power loss has cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def file_sizes(folder: Path) -> dict[str, int]:
    """The size of every file in a folder and its subfolders [bytes], by relative path."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def has_sizes(folder: Path, sizes: Mapping[str, int]) -> bool:
    """Whether a folder holds files of these sizes; other files do not matter.

    Args:
        folder: The folder; it may be missing.
        sizes: From `file_sizes`.
    """
    paths = {folder / name: size for name, size in sizes.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())
