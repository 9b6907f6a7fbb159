"""Import of optional packages at their first use.

`import maniplvm` stays fast, and works without the packages of the extras.
"""

from __future__ import annotations

import importlib
from typing import Any

from maniplvm.errors import UserError


def import_optional(module: str, user: str, extra: str, package: str | None = None) -> Any:
    """Import a module of an optional package.

    Args:
        module: Name of the module, such as `pyarrow.parquet`.
        user: What needs the module, with the verb, such as `data sets need`.
        extra: The extra of this package that installs it.
        package: Name of the package in the message. None is the first part of `module`.

    Raises:
        UserError: the import failed; the line says what needs the package and what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and missing.split(".")[0] == "maniplvm":
            raise
        name = package or module.split(".")[0]
        raise UserError(f'{user} {name} ({error}): pip install "maniplvm[{extra}]"') from error


def torch() -> Any:
    """The module `torch`."""
    return import_optional("torch", "models need", "train")


def transformers() -> Any:
    """The module `transformers`."""
    return import_optional("transformers", "models need", "train")


def peft() -> Any:
    """The module `peft`."""
    return import_optional("peft", "models need", "train")


def tokenizers() -> Any:
    """The module `tokenizers`."""
    return import_optional("tokenizers", "models need", "train")


def huggingface_hub() -> Any:
    """The module `huggingface_hub`."""
    return import_optional("huggingface_hub", "models need", "train")


def safetensors() -> Any:
    """The module `safetensors`."""
    return import_optional("safetensors", "models need", "train")


def trl() -> Any:
    """The module `trl`."""
    return import_optional("trl", "training needs", "train")


def datasets() -> Any:
    """The module `datasets`."""
    return import_optional("datasets", "training needs", "train")


def arrow() -> Any:
    """The module `pyarrow`."""
    return import_optional("pyarrow", "data sets need", "data")


def parquet() -> Any:
    """The module `pyarrow.parquet`."""
    return import_optional("pyarrow.parquet", "data sets need", "data")


def av() -> Any:
    """The module `av` (PyAV)."""
    return import_optional("av", "videos need", "video", package="PyAV")


def httpx2() -> Any:
    """The module `httpx2`."""
    return import_optional("httpx2", "--server needs", "server")


def jinja2() -> Any:
    """The module `jinja2`."""
    return import_optional("jinja2", "the report needs", "report", package="Jinja2")


def matplotlib() -> Any:
    """The module `matplotlib`."""
    return import_optional("matplotlib", "--out needs", "plot")
