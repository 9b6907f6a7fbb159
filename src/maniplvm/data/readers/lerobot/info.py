"""`meta/info.json` of a LeRobot data set: its version, its cameras, its states and its splits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.manifest import SPLIT_NAME
from maniplvm.data.readers._robot_view import StateFeature
from maniplvm.data.validation import short_repr
from maniplvm.errors import UserError

INFO = "meta/info.json"
VERSIONS = ("v2.0", "v2.1", "v3.0")

_DEPTH_FLAGS = ("video.is_depth_map", "is_depth_map")
_RANGE = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True)
class LeRobotInfo:
    """The content of `meta/info.json`.

    Attributes:
        root: The data set's folder.
        version: The format's version, one of `VERSIONS`.
        fields: The whole content of the file.
        features: The features by key, each with `dtype`, `shape` and `names`.
    """

    root: Path
    version: str
    fields: Mapping[str, Any]
    features: Mapping[str, Mapping[str, Any]]

    @property
    def cameras(self) -> dict[str, str]:
        """The colour cameras by key, each with its size as text. Depth maps are skipped."""
        return {
            key: _size_text(feature)
            for key, feature in self.features.items()
            if feature.get("dtype") in ("video", "image") and not _is_depth(feature)
        }

    @property
    def states(self) -> dict[str, StateFeature]:
        """The features that are vectors of at least two numbers."""
        found = dict[str, StateFeature]()
        for key, feature in self.features.items():
            shape = feature.get("shape")
            if str(feature.get("dtype")).startswith(("float", "int")) and isinstance(shape, list):
                sides = cast("list[Any]", shape)
                if len(sides) == 1 and isinstance(sides[0], int) and sides[0] > 1:
                    found[key] = (sides[0], _names(feature.get("names"), sides[0]))
        return found

    def split_of(self, episode: int) -> str:
        """The split whose range `from:to` contains an episode, or else `train`."""
        splits = self.fields.get("splits")
        for name, text in cast(
            "dict[str, Any]", splits if isinstance(splits, dict) else {}
        ).items():
            limits = _RANGE.fullmatch(str(text))
            if limits and int(limits[1]) <= episode < int(limits[2]) and SPLIT_NAME.fullmatch(name):
                return name
        return "train"


def read_info(source: Path) -> LeRobotInfo:
    """Read `meta/info.json`.

    Raises:
        UserError: the file is missing, is not JSON, has no features, or has another version.
    """
    path = source / INFO
    if not path.is_file():
        raise UserError(f"{source}: holds no {INFO}; give the folder of a LeRobot data set")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    version, features = fields.get("codebase_version"), fields.get("features")
    if version not in VERSIONS:
        raise UserError(
            f"{path}: 'codebase_version' is {short_repr(version)}, but must be one of "
            f"{', '.join(VERSIONS)}; convert the data set with LeRobot's own scripts"
        )
    listed = cast("dict[str, Any]", features if isinstance(features, dict) else {})
    if not listed or not all(isinstance(feature, dict) for feature in listed.values()):
        raise UserError(f"{path}: 'features' needs an object for each column")
    return LeRobotInfo(source, version, fields, listed)


def _names(value: object, count: int) -> list[str] | None:
    """The names: LeRobot stores a list, or lists under keys such as `motors`."""
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).values()
        lists = [cast("list[Any]", part) for part in parts if isinstance(part, list)]
        value = [name for part in lists for name in part]
    if not isinstance(value, list):
        return None
    names = cast("list[Any]", value)
    return [str(name) for name in names] if len(names) == count else None


def _is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether a feature is a depth map: by a flag of any LeRobot version, or by one channel.

    GR00T writes depth as a video with one channel and leaves the flag false.
    """
    holders = [feature, feature.get("info"), feature.get("video_info")]
    flagged = any(
        cast("dict[str, Any]", holder).get(flag) is True
        for holder in holders
        if isinstance(holder, dict)
        for flag in _DEPTH_FLAGS
    )
    return flagged or _channels(feature) == 1


def _channels(feature: Mapping[str, Any]) -> int | None:
    """The number of channels, from the names of the axes or from a shape with one or three."""
    shape, names = feature.get("shape"), feature.get("names")
    if not isinstance(shape, list) or len(cast("list[Any]", shape)) != 3:
        return None
    sides = cast("list[Any]", shape)
    for axis, name in enumerate(cast("list[Any]", names) if isinstance(names, list) else []):
        if str(name).startswith("channel") and axis < len(sides):
            return sides[axis]
    return next((side for side in (sides[2], sides[0]) if side in (1, 3)), None)


def _size_text(feature: Mapping[str, Any]) -> str:
    shape = cast("list[Any]", feature.get("shape") or [])
    if len(shape) != 3:
        return "size unknown"
    height, width = shape[1:] if shape[0] in (1, 3) else shape[:2]
    return f"{width}x{height}"
