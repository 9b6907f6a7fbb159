"""Where the weights of the shipped embedded model are."""

from __future__ import annotations

from pathlib import Path

import maniplvm

EMBEDDED = "embedded"
"""The name that loads the shipped model wherever a model is named."""


def shipped_folder() -> Path:
    """The checkpoint folder inside the package."""
    return Path(maniplvm.__file__).parent / "embedded" / "checkpoint"
