"""YAML as recipes are written in it: `1e-6` is a number, and no key stands twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from maniplvm.errors import UserError

_NUMBER = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)$")


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-6` as a text and lets the last of two equal keys win; this does not."""


def _mapping_without_doubles(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key) for key, _ in node.value]  # type: ignore[no-untyped-call]
    for key, (key_node, _) in zip(keys, node.value, strict=True):
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice", key_node.start_mark
            )
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_doubles)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """A YAML file that holds settings by name.

    Args:
        path: The file.
        what: What an error calls it, such as `recipe`.

    Raises:
        UserError: it is missing or unreadable, is not YAML, or holds something else.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{what} {path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {path}: not YAML ({_cause(error)})") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{what} {path}: expected settings by name")
    return content


def parse_yaml(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader


def write_yaml(content: Any) -> str:
    """The text of a value made of mappings, lists, texts, numbers, booleans and None."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _cause(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
