"""What a LeRobot data set's `meta/info.json` says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.manifest import SPLIT_NAME
from maniplvm.data.readers._robot_view import State
from maniplvm.data.validation import shown
from maniplvm.errors import UserError

INFO = "meta/info.json"
VERSIONS = ("v2.0", "v2.1", "v3.0")

_RANGE = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True)
class Info:
    """What `meta/info.json` says.

    Attributes:
        root: The data set's folder.
        version: One of `VERSIONS`.
        fields: The whole file.
        features: Each column: `dtype`, `shape`, `names`.
    """

    root: Path
    version: str
    fields: Mapping[str, Any]
    features: Mapping[str, Mapping[str, Any]]

    @property
    def cameras(self) -> dict[str, str]:
        """Each camera's key with its size in words; depth maps are none."""
        return {
            key: _size_in_words(feature)
            for key, feature in self.features.items()
            if feature.get("dtype") in ("video", "image") and not _is_depth(feature)
        }

    @property
    def states(self) -> dict[str, State]:
        """Each column of several numbers: how many, and their names where it gives any."""
        found = dict[str, State]()
        for key, feature in self.features.items():
            shape = feature.get("shape")
            if str(feature.get("dtype")).startswith(("float", "int")) and isinstance(shape, list):
                sides = cast("list[Any]", shape)
                if len(sides) == 1 and isinstance(sides[0], int) and sides[0] > 1:
                    found[key] = (sides[0], _names(feature.get("names"), sides[0]))
        return found

    def split_of(self, episode: int) -> str:
        """The split whose range `from:to` holds an episode, else `train`."""
        splits = self.fields.get("splits")
        for name, text in cast(
            "dict[str, Any]", splits if isinstance(splits, dict) else {}
        ).items():
            limits = _RANGE.fullmatch(str(text))
            if limits and int(limits[1]) <= episode < int(limits[2]) and SPLIT_NAME.fullmatch(name):
                return name
        return "train"


def read_info(source: Path) -> Info:
    """Read `meta/info.json`.

    Raises:
        UserError: there is none, it is not JSON or lacks features, or it is of another version.
    """
    path = source / INFO
    if not path.is_file():
        raise UserError(f"{source}: holds no {INFO}; name the folder of a LeRobot data set")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    version, features = fields.get("codebase_version"), fields.get("features")
    if version not in VERSIONS:
        raise UserError(
            f"{path}: 'codebase_version' is {shown(version)}; {', '.join(VERSIONS)} are read: "
            "convert the data set with LeRobot's own scripts"
        )
    listed = cast("dict[str, Any]", features if isinstance(features, dict) else {})
    if not listed or not all(isinstance(feature, dict) for feature in listed.values()):
        raise UserError(f"{path}: 'features' needs an object for each column")
    return Info(source, version, fields, listed)


def _names(value: object, count: int) -> list[str] | None:
    """Names are a list, or lists under keys such as `motors`."""
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).values()
        lists = [cast("list[Any]", part) for part in parts if isinstance(part, list)]
        value = [name for part in lists for name in part]
    if not isinstance(value, list):
        return None
    names = cast("list[Any]", value)
    return [str(name) for name in names] if len(names) == count else None


def _is_depth(feature: Mapping[str, Any]) -> bool:
    abouts = [feature.get("info"), feature.get("video_info")]
    return any(
        cast("dict[str, Any]", about).get("video.is_depth_map") is True
        for about in abouts
        if isinstance(about, dict)
    )


def _size_in_words(feature: Mapping[str, Any]) -> str:
    shape = cast("list[Any]", feature.get("shape") or [])
    if len(shape) != 3:
        return "size unknown"
    height, width = shape[1:] if shape[0] in (1, 3) else shape[:2]
    return f"{width}x{height}"
