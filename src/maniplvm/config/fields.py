"""Settings by name into a frozen dataclass; whatever does not fit is one line that says where."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from maniplvm.errors import UserError

T = TypeVar("T")

NOT_WRITTEN = {"written": False}
"""Metadata of a dataclass field that settings neither give nor show."""

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def read_fields(kind: type[T], settings: Any, where: str, path: str = "") -> T:
    """Build a dataclass from settings.

    Args:
        kind: The dataclass; its annotations say what is valid (texts, numbers, booleans, other
            dataclasses, tuples of those, mappings, and None).
        settings: What was written.
        where: The file, for messages.
        path: The key under which the settings stand, for messages.

    Raises:
        UserError: an unknown or missing key, or a value of another type; the line names file,
            key and valid choices.
    """
    hints = get_type_hints(kind)
    known = _written(kind)
    named = check_keys(settings, [field.name for field in known], where, path)
    missing = [f.name for f in known if f.name not in named and _is_required(f)]
    if missing:
        raise UserError(f"{where}: {_dotted(path, missing[0])}: missing; a value is needed")
    values = {
        name: _read(hints[name], value, where, _dotted(path, name)) for name, value in named.items()
    }
    try:
        return kind(**values)
    except (UserError, ValueError) as error:
        named_already = isinstance(error, UserError) or not path
        raise UserError(
            f"{where}: {error}" if named_already else f"{where}: {path}: {error}"
        ) from error


def check_keys(settings: Any, valid: Iterable[str], where: str, path: str) -> dict[str, Any]:
    """The settings as a dictionary, once every key is known to be valid.

    Raises:
        UserError: no mapping, or an unknown key; the line names the closest and all valid ones.
    """
    choices = list(valid)
    at = f"{where}: {path}" if path else where
    if not isinstance(settings, Mapping):
        raise UserError(f"{at}: expected settings by name; choose from {', '.join(choices)}")
    for key in settings:
        if key not in choices:
            raise UserError(f"{at}: {unknown_key(str(key), choices)}")
    return dict(settings)


def unknown_key(key: str, choices: list[str]) -> str:
    """What is said about a key that nobody knows: the closest one and all valid ones."""
    close = get_close_matches(key, choices, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    shown = choices if len(choices) <= 30 else get_close_matches(key, choices, n=8, cutoff=0.3)
    label = "choose from" if len(choices) <= 30 else f"some of {len(choices)} choices:"
    listed = f" {label} {', '.join(shown)}" if shown else ""
    return f"unknown key {key!r}{hint or ';'}{listed}"


def plain(value: Any) -> Any:
    """A dataclass made by `read_fields` as the settings that give it back: only what YAML knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in _written(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _read(hint: Any, value: Any, where: str, path: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        for part in parts:
            if part is not type(None) and _fits(part, value):
                return _read(part, value, where, path)
        return _read(next(p for p in parts if p is not type(None)), value, where, path)
    if isinstance(hint, type) and is_dataclass(hint):
        return read_fields(hint, value, where, path)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: {path}: expected a list, got {value!r}")
        return tuple(_read(parts[0], v, where, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: {path}: expected settings by name, got {value!r}")
        return {str(k): _read(parts[1], v, where, f"{path}.{k}") for k, v in value.items()}
    return value if hint is Any else _plain_value(hint, value, where, path)


def _plain_value(hint: type, value: Any, where: str, path: str) -> Any:
    if not _fits(hint, value):
        raise UserError(f"{where}: {path}: expected {_WORDS[hint]}, got {value!r}")
    return float(value) if hint is float else value


def _fits(hint: Any, value: Any) -> bool:
    origin = get_origin(hint)
    if is_dataclass(hint) or (origin is not None and issubclass(origin, Mapping)):
        return isinstance(value, Mapping)
    if origin is tuple:
        return isinstance(value, list | tuple)
    if hint is bool:
        return isinstance(value, bool)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _written(kind: Any) -> list[Field[Any]]:
    return [field for field in fields(kind) if field.metadata.get("written", True)]


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
