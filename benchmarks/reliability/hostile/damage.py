"""Single changes that damage a copy of a checkpoint."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]
Edit = Callable[[dict[str, Any]], None]
WEIGHTS = "model.safetensors"


def edited(name: str, edit: Edit) -> Damage:
    """Change the content of a JSON file."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edit(content)
        (folder / name).write_text(json.dumps(content))

    return damage


def put(path: str, value: Any, name: str = "config.json") -> Damage:
    """Set one value of a JSON file, by its keys with dots."""

    def edit(content: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for key in outer:
            content = content.setdefault(key, {})
        content[last] = value

    return edited(name, edit)


def written(name: str, data: bytes | str) -> Damage:
    """Write a file."""
    return lambda folder: void(
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    )


def void(_: Any) -> None:
    """Nothing."""


def template(text: str) -> Damage:
    """Replace the chat template."""
    return written("chat_template.jinja", text)


def header(
    change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]], file: str = WEIGHTS
) -> Damage:
    """Change the header and the data of the weights."""

    def damage(folder: Path) -> None:
        data = (folder / file).read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        entries, rest = change(json.loads(data[8 : 8 + length]), data[8 + length :])
        text = json.dumps(entries).encode()
        (folder / file).write_bytes(struct.pack("<Q", len(text)) + text + rest)

    return damage


def entry(file: str = WEIGHTS, **changes: Any) -> Damage:
    """Change the header's entry of one tensor of a weight file."""

    def change(entries: dict[str, Any], rest: bytes) -> tuple[dict[str, Any], bytes]:
        name = sorted(set(entries) - {"__metadata__"})[3]
        entries[name] |= changes
        return entries, rest

    return header(change, file)


class _Marker:
    """A pickle of this writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def pickled(name: str, *more: Damage) -> Damage:
    """Add a pickle that would leave the file `executed`."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(_Marker(str(folder / "executed"))))
        for each in more:
            each(folder)

    return damage


def code(name: str, *more: Damage) -> Damage:
    """Add Python code that would leave the file `executed`."""

    def damage(folder: Path) -> None:
        marker = str(folder / "executed")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"open({marker!r}, 'w').close()\nclass M: pass\nclass C: pass\n")
        for each in more:
            each(folder)

    return damage


def linked(name: str, target: str) -> Damage:
    """Replace a file by a link."""

    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return damage


def fifo(name: str) -> Damage:
    """Replace a file by a pipe that nobody writes to."""

    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return damage


def without(name: str) -> Damage:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def dropped(entries: dict[str, Any], rest: bytes) -> tuple[dict[str, Any], bytes]:
    """Remove the tensor whose data comes last."""
    names = [name for name in entries if name != "__metadata__"]
    last = max(names, key=lambda name: entries[name]["data_offsets"][1])
    return {k: v for k, v in entries.items() if k != last}, rest[: entries[last]["data_offsets"][0]]


def all_overlap(entries: dict[str, Any], rest: bytes) -> tuple[dict[str, Any], bytes]:
    """Let the data of all tensors start at the same byte."""
    for name in entries:
        if name != "__metadata__":
            start, end = entries[name]["data_offsets"]
            entries[name]["data_offsets"] = [0, end - start]
    return entries, rest
