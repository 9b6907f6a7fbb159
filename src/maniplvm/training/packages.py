"""torch and TRL, imported only when training starts: reading a recipe needs neither."""

from __future__ import annotations

import importlib
import os
from typing import Any

from maniplvm.errors import UserError


def torch() -> Any:
    """The module `torch`."""
    return _load("torch")


def transformers() -> Any:
    """The module `transformers`."""
    return _load("transformers")


def trl() -> Any:
    """The module `trl`."""
    return _load("trl")


def datasets() -> Any:
    """The module `datasets`."""
    return _load("datasets")


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f'training needs {module} ({error}): pip install "maniplvm[train]"'
        ) from error


def is_sharded() -> bool:
    """Whether a launcher shards the weights (FSDP, DeepSpeed)."""
    names = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    return any(os.environ.get(name, "").lower() == "true" for name in names)
