"""Sizes of published models, so that their memory and lengths can be planned without a download.

Each JSON file holds those keys of a published `config.json` that decide shapes. Weights and
tokenizers are not included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.checkpoint import read_json
from maniplvm.models.tiny.checkpoint import write_tiny_interface
from maniplvm.models.tiny.tokenizer import text_token_ids, token_ids


@dataclass(frozen=True)
class Architecture:
    """The sizes of a published model.

    Attributes:
        name: Its short name, such as `qwen2.5-vl-3b`.
        family: Its family, one of `TINY_FAMILIES`.
        sources: Ids on the Hugging Face Hub that have these sizes.
    """

    name: str
    family: str
    sources: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """The content of its `config.json`, as far as it decides shapes."""
        return read_json(Path(__file__).parent / f"{self.name}.json")


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        each.name: each
        for each in (
            Architecture("qwen2.5-vl-3b", "qwen2_5_vl", ("Qwen/Qwen2.5-VL-3B-Instruct",)),
            Architecture("qwen2.5-vl-7b", "qwen2_5_vl", ("Qwen/Qwen2.5-VL-7B-Instruct",)),
            Architecture(
                "qwen3-vl-4b",
                "qwen3_vl",
                ("Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-4B-Thinking"),
            ),
            Architecture(
                "qwen3-vl-8b",
                "qwen3_vl",
                ("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-8B-Thinking"),
            ),
        )
    }
)
"""The architectures whose sizes ship with this package, by name."""


def find_architecture(source: str | Path) -> Architecture | None:
    """The architecture of a model id of the Hub; None if its sizes do not ship."""
    return next((each for each in ARCHITECTURES.values() if str(source) in each.sources), None)


def write_architecture(folder: str | Path, name: str) -> Path:
    """Write a folder for `load_interface` and `build_meta_model`, with the sizes of a published model.

    `config.json` has the published shapes and vocabulary size. The processor resizes images as the
    published one does. The tokenizer is the small one of the tiny checkpoints, so the counts of
    text tokens are larger than those of the published tokenizer. There are no weights.

    Args:
        folder: Target folder; created if it is missing.
        name: One of `ARCHITECTURES`.

    Returns:
        The folder.

    Raises:
        UserError: an unknown name; the message lists the valid ones.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"unknown architecture {name!r}; choose from {', '.join(ARCHITECTURES)}")
    folder, architecture = Path(folder), ARCHITECTURES[name]
    tokenizer = write_tiny_interface(folder, architecture.family)
    settings = {**architecture.settings(), **token_ids(tokenizer)}
    settings["text_config"] = {**settings["text_config"], **text_token_ids(tokenizer)}
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder
