"""Settings: frozen dataclasses whose values pydantic checks strictly.

pydantic is imported when the first settings are built: importing it takes longer than importing
all rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, TypeVar

from maniplvm.config.messages import one_line
from maniplvm.errors import UserError

T = TypeVar("T")

NOT_IN_FILE: Mapping[str, Any] = {"in_file": False}
"""Metadata of a dataclass field that no file gives and `to_mapping` leaves out."""

_STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False}
_CONTAINERS = ("dataclass", "tuple")


@dataclass(frozen=True)
class CheckedAs:
    """An annotation for a field whose `__post_init__` checks more than a type can say.

    Attributes:
        kind: The type that pydantic checks.
    """

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema of `kind`."""
        return handler.generate_schema(self.kind)


def validated(kind: type[T]) -> type[T]:
    """Let pydantic check every instance of a frozen dataclass, however it is built.

    Numbers, strings and booleans are never converted, numbers are finite, unknown keys are errors.
    A list may stand for a tuple, and a mapping for a dataclass that is `validated` as well.

    Returns:
        The same class. Its constructor raises a `UserError` of one line.
    """
    plain_init: Callable[..., None] = kind.__init__
    order = signature(plain_init)
    hidden = {name for name in _names(kind) if name not in file_keys(kind)}

    @wraps(plain_init)
    def init(self: Any, *args: Any, **values: Any) -> None:
        given = dict(order.bind(self, *args, **values).arguments)
        given.pop(next(iter(given)))
        aside = {name: given.pop(name) for name in hidden & given.keys()}
        vars(self).update({**vars(_validate(kind, given, "")), **aside})

    def schema(cls: type[T], source: Any, handler: Any) -> Any:
        made = handler(source)
        _relax(made, hidden)
        return made

    setattr(kind, "__init__", init)  # noqa: B010 - pyright knows the dataclass's own
    setattr(kind, "__pydantic_config__", _STRICT)  # noqa: B010
    setattr(kind, "__get_pydantic_core_schema__", classmethod(schema))  # noqa: B010
    return kind


def build(kind: type[T], settings: Any, where: str, path: str = "") -> T:
    """An instance of a `validated` class from the content of a file.

    Args:
        kind: The class.
        settings: What the file says: a mapping.
        where: The file, for messages; empty if the caller adds it.
        path: The key of the settings in the file, for messages.

    Raises:
        UserError: an unknown or missing key, or a value that is not valid; the line names file,
            key and valid choices.
    """
    try:
        return _validate(kind, settings, path)
    except UserError as error:
        raise UserError(f"{where}: {error}" if where else str(error)) from error


def to_mapping(value: Any) -> Any:
    """Settings as `build` reads them: mappings, lists, strings, numbers, booleans and None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_mapping(getattr(value, name)) for name in file_keys(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    return value


def file_keys(kind: Any) -> list[str]:
    """The keys that a file may give for a settings class."""
    return [field.name for field in fields(kind) if field.metadata.get("in_file", True)]


def _names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def _validate(kind: type[T], settings: Any, path: str) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(settings)
    except ValidationError as error:
        raise UserError(one_line(error.errors(), kind, settings, path)) from error


@lru_cache
def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _relax(schema: Any, hidden: set[str]) -> None:
    """Accept lists for tuples and mappings for dataclasses, which strict pydantic refuses."""
    if isinstance(schema, dict):
        if schema.get("type") in _CONTAINERS:
            schema["strict"] = False
        if schema.get("type") == "dataclass-args":
            schema["fields"] = [each for each in schema["fields"] if each["name"] not in hidden]
    parts = schema.values() if isinstance(schema, dict) else schema
    for part in parts:
        if isinstance(part, dict | list):
            _relax(part, hidden)
