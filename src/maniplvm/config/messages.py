"""One-line error messages for settings: the key, the expected value and the given value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "a boolean",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
    "tuple_type": "a list",
}
_FIRST_TYPES = ("unexpected_keyword_argument", "missing")
_MAX_CHOICES = 30
_MAX_VALUE_LENGTH = 120
_RELATIVE_KEY = re.compile(r"[A-Za-z_][\w.\[\]]*: ")


def unknown_key(key: str, choices: Sequence[str]) -> str:
    """The message for an unknown key, with the closest valid key and the choices.

    If there are many choices, it lists only similar ones.
    """
    written = _shortened(key)
    close = get_close_matches(key, choices, n=1)
    hint = f"; did you mean {close[0]}?" if close else ";"
    if len(choices) <= _MAX_CHOICES:
        return f"unknown key {written}{hint} choose from {', '.join(choices)}"
    similar = get_close_matches(key, choices, n=8, cutoff=0.3)
    listed = f" some of {len(choices)} choices: {', '.join(similar)}" if similar else ""
    return f"unknown key {written}{hint}{listed}"


def first_error(errors: Iterable[Any], kind: Any, settings: Any, path: str = "") -> str:
    """The message for the first error of pydantic, with the keys of the configuration file.

    An unknown key comes before a missing key, because it is often the missing key with a typo.

    Args:
        errors: `ValidationError.errors()`.
        kind: The dataclass of the settings.
        settings: The validated settings.
        path: The key of the settings in the file.
    """
    listed = sorted(errors, key=lambda error: (*_FIRST_TYPES, error["type"]).index(error["type"]))
    first, keys = listed[0], _keys(listed[0], settings)
    at = _dotted(path, keys)
    if first["type"] == "unexpected_keyword_argument":
        owner = _annotation_at(kind, keys[:-1])
        return _with_key(_dotted(path, keys[:-1]), unknown_key(str(keys[-1]), _keys_of(owner)))
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        relative = at and _RELATIVE_KEY.match(message)
        return f"{at}.{message}" if relative else _with_key(at, message)
    if first["type"] == "missing":
        return _with_key(at, "missing; a value is needed")
    if first["type"] == "invalid_key" or "[key]" in first["loc"]:
        return _with_key(_dotted(path, keys[:-1]), f"expected strings as keys, got {keys[-1]!r}")
    given = _shortened(first["input"])
    if first["type"] == "literal_error":
        choices = _choices(_annotation_at(kind, keys))
        return _with_key(at, f"choose from {', '.join(choices)}; got {given}")
    same = [error for error in listed if _keys(error, settings) == keys]
    expected = list(dict.fromkeys(_EXPECTED.get(error["type"], "") for error in same))
    if "" in expected:
        return _with_key(at, f"{first['msg']}, got {given}")
    message = f"expected {' or '.join(expected)}, got {given}"
    if first["type"] == "dataclass_type":
        message += f"; choose from {', '.join(_keys_of(_annotation_at(kind, keys)))}"
    return _with_key(at, message)


def _with_key(at: str, message: str) -> str:
    return f"{at}: {message}" if at else message


def _shortened(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python converts no integer of more than 4,300 digits
        return "an integer with thousands of digits" if isinstance(value, int) else "a huge integer"
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 3]}..."


def _keys(error: Any, settings: Any) -> list[Any]:
    """The keys and indices of the setting with the error, without the type names of pydantic."""
    keys, value = list[Any](), settings
    for part in error["loc"]:
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        ):
            keys.append(part)
            value = value[part]
    return [*keys, error["loc"][-1]] if error["type"] == "missing" else keys


def _dotted(path: str, keys: Sequence[Any]) -> str:
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
    return path


def _annotation_at(kind: Any, keys: Sequence[Any]) -> Any:
    """The type annotation of a setting."""
    for key in keys:
        kind = get_type_hints(kind)[key] if is_dataclass(kind) else get_args(kind)[-2:][-1]
        if get_origin(kind) in (Union, UnionType):
            kind = next(part for part in get_args(kind) if part is not type(None))
        if get_origin(kind) is tuple:
            kind = tuple[get_args(kind)[0]]
    return kind


def _keys_of(kind: Any) -> list[str]:
    return [field.name for field in fields(kind) if field.metadata.get("in_file", True)]


def _choices(hint: Any) -> list[str]:
    return [str(choice) for choice in get_args(hint)] if get_origin(hint) is Literal else []
