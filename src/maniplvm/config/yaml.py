"""A YAML reader that parses `1e-6` as a number and rejects duplicate keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from maniplvm.errors import UserError

_MAX_VALUES = 200_000
"""Most values of a file. A few aliases of aliases could stand for billions."""

_TOO_LARGE = 2**63

PARSE_ERRORS = (yaml.YAMLError, ValueError, RecursionError)
"""What `parse_yaml` can raise."""

_NUMBER = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)$")


class _Loader(yaml.SafeLoader):
    """A safe loader with two fixes: `1e-6` is a number, and duplicate keys are errors."""


def _mapping_with_unique_keys(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key) for key, _ in node.value]  # type: ignore[no-untyped-call]
    known = set[Any]()
    for key, (key_node, _) in zip(keys, node.value, strict=True):
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a string or a number", key_node.start_mark
            )
        if key in known:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} appears twice", key_node.start_mark
            )
        known.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_with_unique_keys)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a configuration file that contains a mapping.

    Args:
        path: A YAML file, or a JSON file if its name ends in `.json`.
        what: The kind of file for error messages, such as `recipe`.

    Raises:
        UserError: the file cannot be read, is not valid YAML or JSON, or contains no mapping.
    """
    is_json = path.suffix.lower() == ".json"
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = _parse_json(text) if is_json else parse_yaml(text)
    except OSError as error:
        raise UserError(f"{what} {path}: cannot be read ({error.strerror})") from error
    except NumberError as error:
        raise UserError(f"{what} {path}: {error}") from error
    except PARSE_ERRORS as error:
        language = "JSON" if is_json else "YAML"
        raise UserError(f"{what} {path}: not {language} ({_cause(error)})") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{what} {path}: expected a mapping with strings as keys")
    return content


def parse_yaml(text: str) -> Any:
    """The value of a YAML string.

    Raises:
        yaml.YAMLError: the string is not valid YAML, or its aliases repeat too much.
        ValueError: a date that does not exist, or a number that is not finite or too large.
        RecursionError: the value is nested too deeply.
    """
    loader = _Loader(text)
    node: yaml.Node | None = None
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _expanded_size(node, {})
        content = loader.construct_document(node)  # type: ignore[no-untyped-call]
    except (AttributeError, IndexError, KeyError, OverflowError) as error:
        # PyYAML does not check a value with an explicit tag, such as `!!bool x`
        raise yaml.constructor.ConstructorError(
            None, None, "a value does not fit its tag", node and node.start_mark
        ) from error
    finally:
        loader.dispose()  # type: ignore[no-untyped-call]
    _check_numbers(content)
    return content


def _expanded_size(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Number of values in a node, with those behind aliases each time that they appear.

    Raises:
        yaml.YAMLError: there are too many, or an alias stands inside of its own value.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise yaml.constructor.ConstructorError(
                None, None, "an alias stands inside of its own value", node.start_mark
            )
        return size
    known[id(node)] = None
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    size = 1 + sum(_expanded_size(part, known) for part in parts)
    if size > _MAX_VALUES:
        raise yaml.constructor.ConstructorError(
            None, None, f"more than {_MAX_VALUES:,} values with its aliases", node.start_mark
        )
    known[id(node)] = size
    return size


def write_yaml(content: Any) -> str:
    """Convert mappings, lists, strings, numbers, booleans and None to a YAML string."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


class NumberError(ValueError):
    """A number with which no setting can be computed; the message starts with its key."""


def _check_numbers(content: Any) -> None:
    """Refuse numbers with which no setting can be computed.

    Raises:
        NumberError: an integer has more than 64 bits, or a number is not finite.
    """
    waiting = [("", content)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((f"{where}.{key}".lstrip("."), part) for key, part in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{where}[{index}]", part) for index, part in enumerate(value))
        elif isinstance(value, int) and not -_TOO_LARGE <= value < _TOO_LARGE:
            raise NumberError(f"{where or 'value'}: expected an integer of at most 64 bits")
        elif isinstance(value, float) and not math.isfinite(value):
            raise NumberError(f"{where or 'value'}: expected a finite number, got {value}")


def _parse_json(text: str) -> Any:
    content = json.loads(text, object_pairs_hook=_object_with_unique_keys)
    _check_numbers(content)
    return content


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict[str, Any]()
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key {key!r} appears twice")
        content[key] = value
    return content


def _cause(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
