"""Settings: frozen dataclasses with strict validation by pydantic.

pydantic is imported when the first settings are built, because its import takes longer than the
import of all rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, TypeVar

from maniplvm.config.messages import first_error
from maniplvm.errors import UserError

T = TypeVar("T")

NOT_IN_FILE: Mapping[str, Any] = {"in_file": False}
"""Metadata of a dataclass field that is not a key of the file; `to_mapping` omits it."""

_STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False}
_CONTAINERS = ("dataclass", "tuple")


@dataclass(frozen=True)
class ValidatedAs:
    """An annotation for a field that `__post_init__` validates further.

    Attributes:
        kind: The type that pydantic validates.
    """

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema of `kind`."""
        return handler.generate_schema(self.kind)


def validated(kind: type[T]) -> type[T]:
    """Validate every new instance of a frozen dataclass with pydantic.

    Numbers, strings and booleans are never converted. Numbers must be finite. Unknown keys are
    errors. A list is accepted for a tuple, and a mapping for another `validated` dataclass.

    Returns:
        The same class. Its constructor raises a `UserError` with a message of one line.
    """
    plain_init: Callable[..., None] = kind.__init__
    order = signature(plain_init)
    hidden = {name for name in _names(kind) if name not in file_keys(kind)}

    @wraps(plain_init)
    def init(self: Any, *args: Any, **values: Any) -> None:
        given = dict(order.bind(self, *args, **values).arguments)
        given.pop(next(iter(given)))
        not_validated = {name: given.pop(name) for name in hidden & given.keys()}
        vars(self).update({**vars(_validate(kind, given, "")), **not_validated})

    def schema(cls: type[T], source: Any, handler: Any) -> Any:
        core_schema = handler(source)
        _relax(core_schema, hidden)
        return core_schema

    setattr(kind, "__init__", init)  # noqa: B010 - pyright keeps the signature of the dataclass
    setattr(kind, "__pydantic_config__", _STRICT)  # noqa: B010
    setattr(kind, "__get_pydantic_core_schema__", classmethod(schema))  # noqa: B010
    return kind


def build(kind: type[T], settings: Any, where: str, path: str = "") -> T:
    """An instance of a `validated` class from the content of a file.

    Args:
        kind: The class.
        settings: The content of the file: a mapping.
        where: The file name for messages; empty if the caller adds it.
        path: The key of the settings in the file, for messages.

    Raises:
        UserError: an unknown or missing key, or an invalid value. The message names the file, the
            key and the valid choices.
    """
    try:
        return _validate(kind, settings, path)
    except UserError as error:
        raise UserError(f"{where}: {error}" if where else str(error)) from error


def to_mapping(value: Any) -> Any:
    """Settings as plain data for `build`: mappings, lists, strings, numbers, booleans and None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_mapping(getattr(value, name)) for name in file_keys(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    return value


def file_keys(kind: Any) -> list[str]:
    """The keys of a settings class that a file may contain."""
    return [field.name for field in fields(kind) if field.metadata.get("in_file", True)]


def _names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def _validate(kind: type[T], settings: Any, path: str) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(settings)
    except ValidationError as error:
        raise UserError(first_error(error.errors(), kind, settings, path)) from error


@lru_cache
def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _relax(schema: Any, hidden: set[str]) -> None:
    """Accept lists for tuples and mappings for dataclasses, unlike strict pydantic."""
    if isinstance(schema, dict):
        if schema.get("type") in _CONTAINERS:
            schema["strict"] = False
        if schema.get("type") == "dataclass-args":
            schema["fields"] = [each for each in schema["fields"] if each["name"] not in hidden]
    parts = schema.values() if isinstance(schema, dict) else schema
    for part in parts:
        if isinstance(part, dict | list):
            _relax(part, hidden)
