"""pyarrow, imported when first needed: `import maniplvm.data` stays cheap and works without it."""

from __future__ import annotations

import importlib
from typing import Any

from maniplvm.errors import UserError


def arrow() -> Any:
    """The module `pyarrow`."""
    return _load("pyarrow")


def parquet() -> Any:
    """The module `pyarrow.parquet`."""
    return _load("pyarrow.parquet")


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f'data sets need pyarrow ({error}): pip install "maniplvm[data]"'
        ) from error
