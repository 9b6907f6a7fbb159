"""A YAML reader that parses `1e-6` as a number and rejects duplicate keys."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from maniplvm.errors import UserError

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
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        language = "JSON" if is_json else "YAML"
        raise UserError(f"{what} {path}: not {language} ({_cause(error)})") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{what} {path}: expected a mapping with strings as keys")
    return content


def parse_yaml(text: str) -> Any:
    """The value of a YAML string.

    Raises:
        yaml.YAMLError: the string is not valid YAML.
        ValueError: a date does not exist, or an integer has too many digits.
        RecursionError: it is nested too deeply.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader


def write_yaml(content: Any) -> str:
    """Convert mappings, lists, strings, numbers, booleans and None to a YAML string."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object_with_unique_keys)


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
