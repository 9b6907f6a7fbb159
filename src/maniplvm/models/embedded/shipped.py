"""Where the trained weights lie."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"
"""Wherever a model is named, this word means the one that ships with the package."""


def shipped_folder() -> Path:
    """The folder of the shipped checkpoint, which plain transformers loads as well."""
    return Path(__file__).parent / "checkpoint"
