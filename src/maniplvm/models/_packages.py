"""torch and its companions, imported when first needed: `import maniplvm.models` stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maniplvm.errors import UserError


def torch() -> Any:
    """The module `torch`."""
    return _load("torch")


def transformers() -> Any:
    """The module `transformers`."""
    return _load("transformers")


def peft() -> Any:
    """The module `peft`."""
    return _load("peft")


def tokenizers() -> Any:
    """The module `tokenizers`."""
    return _load("tokenizers")


def hub() -> Any:
    """The module `huggingface_hub`."""
    return _load("huggingface_hub")


def safe_open() -> Any:
    """The function `safetensors.safe_open`."""
    return _load("safetensors").safe_open


def safetensors_error() -> type[Exception]:
    """What safetensors raises on a damaged file."""
    return _load("safetensors").SafetensorError


@contextmanager
def quiet_unless_terminal() -> Iterator[None]:
    """No progress bars of transformers where nobody watches them."""
    logging = transformers().utils.logging
    if sys.stderr.isatty() or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f'models need {module} ({error}): pip install "maniplvm[train]"') from error
