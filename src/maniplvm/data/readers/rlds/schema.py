"""What TFDS says about an RLDS data set: `features.json`, `dataset_info.json`, and its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers._robot_view import State
from maniplvm.errors import UserError

FEATURES = "features.json"
DATASET_INFO = "dataset_info.json"
STEPS = "steps/"

_SHARD = re.compile(
    r"(?P<name>.+?)(?:-(?P<split>[A-Za-z0-9_]+))?\.tfrecord(?:-(?P<shard>\d+)-of-\d+)?"
)
_INSTRUCTIONS = ("language_instruction", "natural_language_instruction")
_DEEPEST = 32


@dataclass(frozen=True)
class Leaf:
    """One feature that is stored.

    Attributes:
        kind: `image`, `text`, `numbers`, or `other` for what is not read.
        shape: Of one step's value; None for a side of any length.
        dtype: As TFDS spells it.
    """

    kind: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class Schema:
    """The features of an episode.

    Attributes:
        root: The folder of the data set.
        leaves: Each feature by its key in the record, such as `steps/observation/state`.
    """

    root: Path
    leaves: Mapping[str, Leaf]

    @property
    def cameras(self) -> dict[str, str]:
        """Each camera by its key below `steps/`, with its size in words; depth maps are none."""
        return {
            key.removeprefix(STEPS): _size_in_words(leaf.shape)
            for key, leaf in self.leaves.items()
            if key.startswith(STEPS) and leaf.kind == "image" and leaf.dtype == "uint8"
        }

    @property
    def states(self) -> dict[str, State]:
        """Each vector of a step by its key below `steps/`; TFDS gives its numbers no names."""
        return {
            key.removeprefix(STEPS): (leaf.shape[0], None)
            for key, leaf in self.leaves.items()
            if key.startswith(STEPS)
            and leaf.kind == "numbers"
            and leaf.dtype.startswith("float")
            and len(leaf.shape) == 1
            and leaf.shape[0]
        }

    @property
    def instruction(self) -> str:
        """The key of the instruction: a step's, or else the episode's.

        Raises:
            UserError: there is none; the texts that are there are listed.
        """
        texts = [key for key, leaf in self.leaves.items() if leaf.kind == "text"]
        for name in _INSTRUCTIONS:
            fitting = [key for key in texts if key.rsplit("/", 1)[-1] == name]
            if fitting:
                return min(fitting, key=lambda key: not key.startswith(STEPS))
        raise UserError(
            f"{self.root / FEATURES}: no text named {' or '.join(_INSTRUCTIONS)}; the texts are "
            f"{', '.join(texts)[:300] or 'none'}"
        )


@dataclass(frozen=True)
class Shard:
    """One file of a data set.

    Attributes:
        path: The file.
        dataset: The data set's name, as the file's name says.
        split: The split, as the file's name says, else `train`.
        count: How many records it should hold, or None where nobody says.
    """

    path: Path
    dataset: str
    split: str
    count: int | None


def read_schema(source: Path) -> Schema:
    """Read `features.json` of a data set's folder, or beside one of its files.

    Raises:
        UserError: there is none (folders below that have one are listed), or it is not TFDS's.
    """
    root = source.parent if source.is_file() else source
    path = root / FEATURES
    if not path.is_file():
        if not root.is_dir():
            raise UserError(f"{source}: no such file or folder")
        below = [str(found.parent) for found in sorted(root.rglob(FEATURES))[:5]]
        hint = (
            f"name one of {', '.join(below)}" if below else "it stands beside the .tfrecord files"
        )
        raise UserError(f"{root}: holds no {FEATURES}; {hint}")
    content = _json_object(path)
    try:
        leaves = dict(_leaves(content, "", 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not the features of a TFDS data set ({error!r})") from error
    if not any(key.startswith(STEPS) for key in leaves):
        raise UserError(
            f"{path}: no 'steps', so this is no RLDS data set; it has {list(leaves)[:8]}"
        )
    return Schema(root, leaves)


def shards(source: Path, schema: Schema) -> list[Shard]:
    """The files to read, in the order of their names.

    Raises:
        UserError: the folder holds no `.tfrecord` file.
    """
    if source.is_file():
        paths = [source]
    else:
        paths = sorted(path for path in source.iterdir() if _SHARD.fullmatch(path.name))
    if not paths:
        others = ", ".join(path.name for path in sorted(source.iterdir())[:5])
        raise UserError(f"{source}: holds no .tfrecord file (found: {others}); only those are read")
    counts = _counts(schema.root)
    found = list[Shard]()
    for path in paths:
        parts = _SHARD.fullmatch(path.name)
        split = (parts and parts["split"]) or "train"
        number = int(parts["shard"]) if parts and parts["shard"] else 0
        lengths = counts.get(split, [])
        count = lengths[number] if number < len(lengths) else None
        found.append(Shard(path, parts["name"] if parts else path.stem, split, count))
    return found


def _leaves(node: Mapping[str, Any], key: str, depth: int) -> Iterator[tuple[str, Leaf]]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if "featuresDict" in node:
        for name, below in node["featuresDict"]["features"].items():
            yield from _leaves(below, f"{key}/{name}" if key else name, depth + 1)
    elif "sequence" in node and key == STEPS.rstrip("/"):
        yield from _leaves(node["sequence"]["feature"], key, depth + 1)
    elif "image" in node:
        yield key, Leaf("image", _shape(node["image"]), node["image"].get("dtype", "uint8"))
    elif "text" in node:
        yield key, Leaf("text", (), "string")
    elif "tensor" in node and node["tensor"].get("encoding", "none") in ("none", ""):
        dtype = str(node["tensor"]["dtype"])
        yield key, Leaf("text" if dtype == "string" else "numbers", _shape(node["tensor"]), dtype)
    else:
        yield key, Leaf("other")


def _shape(node: Mapping[str, Any]) -> tuple[int | None, ...]:
    sides = [int(side) for side in node.get("shape", {}).get("dimensions", [])]
    return tuple(side if side > 0 else None for side in sides)


def _counts(root: Path) -> dict[str, list[int]]:
    """How many records each file of each split holds, where `dataset_info.json` says it."""
    path = root / DATASET_INFO
    if not path.is_file():
        return {}
    splits: Any = _json_object(path).get("splits", [])
    try:
        return {
            str(split["name"]): [int(count) for count in split.get("shardLengths", [])]
            for split in splits
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: 'splits' is not TFDS's list ({error!r})") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object")
    return cast("dict[str, Any]", content)


def _size_in_words(shape: tuple[int | None, ...]) -> str:
    if len(shape) != 3 or None in shape[:2]:
        return "size unknown"
    return f"{shape[1]}x{shape[0]}"
