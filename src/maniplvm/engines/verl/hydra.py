"""Settings as command-line overrides of Hydra, which verl uses for its configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*")
_RESERVED = {"true", "false", "null", "nan", "inf"}


def override(key: str, value: Any) -> str:
    """One override as a word of a shell command, such as `data.shuffle=False`.

    Args:
        key: The path of the setting; a leading `+` adds one that verl's configuration lacks.
        value: A boolean, number, string, None, or a list or mapping of these.
    """
    return shlex.quote(f"{key}={hydra_value(value)}")


def hydra_value(value: Any) -> str:
    """A value in the grammar of Hydra's overrides.

    Raises:
        TypeError: a value of another type.
    """
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
            return value
        escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
        trailing = len(escaped) - len(escaped.rstrip("\\"))
        return f"'{escaped}{chr(92) * trailing}'"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{hydra_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    raise TypeError(f"no override for a value of type {type(value).__name__}")
