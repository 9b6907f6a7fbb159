"""The schema of an RLDS data set: `features.json`, `dataset_info.json`, and the list of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.readers._robot_view import StateFeature
from maniplvm.errors import UserError

FEATURES = "features.json"
DATASET_INFO = "dataset_info.json"
STEPS = "steps/"

_SHARD = re.compile(
    r"(?P<name>.+?)(?:-(?P<split>[A-Za-z0-9_]+))?\.tfrecord(?:-(?P<shard>\d+)-of-\d+)?"
)
_INSTRUCTIONS = ("language_instruction", "natural_language_instruction")
_MAX_DEPTH = 32


@dataclass(frozen=True)
class FeatureSpec:
    """The type of one stored feature.

    Attributes:
        kind: `image`, `text`, `numbers`, or `other` for features that are not read.
        shape: The shape of one step's value. None stands for a side of any length.
        dtype: The type's name in TFDS.
    """

    kind: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class Schema:
    """The features of an episode.

    Attributes:
        root: The folder of the data set.
        features: The features by their keys in the record, such as `steps/observation/state`.
    """

    root: Path
    features: Mapping[str, FeatureSpec]

    @property
    def cameras(self) -> dict[str, str]:
        """The cameras by key below `steps/`, each with its size as text. Depth maps are left out."""
        return {
            key.removeprefix(STEPS): _size_text(spec.shape)
            for key, spec in self.features.items()
            if key.startswith(STEPS) and spec.kind == "image" and spec.dtype == "uint8"
        }

    @property
    def states(self) -> dict[str, StateFeature]:
        """The vectors of a step by key below `steps/`. TFDS has no names for their numbers."""
        return {
            key.removeprefix(STEPS): (spec.shape[0], None)
            for key, spec in self.features.items()
            if key.startswith(STEPS)
            and spec.kind == "numbers"
            and spec.dtype.startswith("float")
            and len(spec.shape) == 1
            and spec.shape[0]
        }

    @property
    def instruction(self) -> str:
        """The key of the instruction: that of a step, or else that of the episode.

        Raises:
            UserError: there is no such key; the existing text features are listed.
        """
        texts = [key for key, spec in self.features.items() if spec.kind == "text"]
        for name in _INSTRUCTIONS:
            fitting = [key for key in texts if key.rsplit("/", 1)[-1] == name]
            if fitting:
                return min(fitting, key=lambda key: not key.startswith(STEPS))
        raise UserError(
            f"{self.root / FEATURES}: no text feature named {' or '.join(_INSTRUCTIONS)}; the text "
            f"features are {', '.join(texts)[:300] or 'none'}"
        )


@dataclass(frozen=True)
class Shard:
    """One file of a data set.

    Attributes:
        path: The file's path.
        dataset: The data set's name, from the file's name.
        split: The split, from the file's name, or else `train`.
        count: The expected number of records, or None if it is unknown.
    """

    path: Path
    dataset: str
    split: str
    count: int | None


def read_schema(source: Path) -> Schema:
    """Read `features.json` of a data set's folder, or beside one of its files.

    Raises:
        UserError: the file is missing (subfolders that have one are listed), or TFDS did not write
            it.
    """
    root = source.parent if source.is_file() else source
    path = root / FEATURES
    if not path.is_file():
        if not root.is_dir():
            raise UserError(f"{source}: no such file or folder")
        below = [str(found.parent) for found in sorted(root.rglob(FEATURES))[:5]]
        hint = f"give one of {', '.join(below)}" if below else "it is beside the .tfrecord files"
        raise UserError(f"{root}: holds no {FEATURES}; {hint}")
    content = _json_object(path)
    try:
        features = dict(_flatten(content, "", 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not the features of a TFDS data set ({error!r})") from error
    if not any(key.startswith(STEPS) for key in features):
        raise UserError(
            f"{path}: no 'steps', so this is not an RLDS data set; it has {list(features)[:8]}"
        )
    return Schema(root, features)


def list_shards(source: Path, schema: Schema) -> list[Shard]:
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
        raise UserError(
            f"{source}: holds no .tfrecord file (found: {others}); other files are not supported"
        )
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


def _flatten(node: Mapping[str, Any], key: str, depth: int) -> Iterator[tuple[str, FeatureSpec]]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if "featuresDict" in node:
        for name, below in node["featuresDict"]["features"].items():
            yield from _flatten(below, f"{key}/{name}" if key else name, depth + 1)
    elif "sequence" in node and key == STEPS.rstrip("/"):
        yield from _flatten(node["sequence"]["feature"], key, depth + 1)
    elif "image" in node:
        yield key, FeatureSpec("image", _shape(node["image"]), node["image"].get("dtype", "uint8"))
    elif "text" in node:
        yield key, FeatureSpec("text", (), "string")
    elif "tensor" in node and node["tensor"].get("encoding", "none") in ("none", ""):
        dtype = str(node["tensor"]["dtype"])
        yield (
            key,
            FeatureSpec("text" if dtype == "string" else "numbers", _shape(node["tensor"]), dtype),
        )
    else:
        yield key, FeatureSpec("other")


def _shape(node: Mapping[str, Any]) -> tuple[int | None, ...]:
    sides = [int(side) for side in node.get("shape", {}).get("dimensions", [])]
    return tuple(side if side > 0 else None for side in sides)


def _counts(root: Path) -> dict[str, list[int]]:
    """The number of records in each file of each split, if `dataset_info.json` gives it."""
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


def _size_text(shape: tuple[int | None, ...]) -> str:
    if len(shape) != 3 or None in shape[:2]:
        return "size unknown"
    return f"{shape[1]}x{shape[0]}"
