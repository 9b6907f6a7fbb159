"""Model families: the prompts and the coordinate frame that a checkpoint was trained with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES, FrameSpec
from maniplvm.tasks import PROMPTS, PromptStyle

CONFIG_KEY = "maniplvm_family"
"""Key of `config.json` that names the family, where the architecture does not decide it."""

FAMILY_OF_MODEL_TYPE: Mapping[str, str] = MappingProxyType(
    {
        "qwen2_vl": "qwen2_vl",
        "qwen2_5_vl": "qwen2_5_vl",
        "qwen3_vl": "qwen3_vl",
        "qwen3_vl_moe": "qwen3_vl",
    }
)
"""Default family of a `model_type` of transformers."""

_END = r"(?=[-:]|$)"
_START = r"(?:^|[-.:])"
_NAMES = (
    (r"qwen3-?vl", "qwen3_vl"),
    (r"qwen2[.-]?5-?vl", "qwen2_5_vl"),
    (r"qwen2-?vl", "qwen2_vl"),
    (r"robobrain-?2(?:\.0)?", "robobrain2"),
    (r"robobrain(?:-?1(?:\.0)?)?", "robobrain1"),
    (r"robopoint", "robopoint"),
    (r"vla-?r1", "vla_r1"),
    (r"gemini-?robotics-?er", "gemini_er"),
    (r"molmoact", "molmoact"),
    (r"molmoe?", "molmo"),
)
"""Names of published models. A pattern matches whole words between hyphens, so that `MolmoPoint`,
`MolmoAct2` and `RoboBrain2.5`, whose frames differ, match none."""

_ARCHITECTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "robobrain2": ("qwen2_5_vl",),
        "vla_r1": ("qwen2_5_vl",),
    }
)
"""Model types of families that were trained on another family's architecture."""

_SNAPSHOT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Family:
    """Prompts and coordinate frame of checkpoints that were trained alike.

    The architecture alone does not decide them: a Qwen2.5-VL model may have been trained to
    answer in 0..1. So the family can be overridden. A saved model stores it (`CONFIG_KEY`).

    Attributes:
        name: Name in `PROMPTS` and `FRAMES`.
    """

    name: str

    @property
    def prompt(self) -> PromptStyle:
        """The prompts of the family."""
        return PROMPTS[self.name]

    @property
    def frame(self) -> FrameSpec:
        """The coordinate frame, before a checkpoint's own image sizes are known."""
        return FRAMES[self.name]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {name: Family(name) for name in PROMPTS if name in FRAMES}
)
"""All families by name."""


def family_in_name(name: str) -> Family | None:
    """The family that the name of a published model states; None if it states none.

    Args:
        name: An id on a hub, a name on a server, or a folder. Of a folder, the last part counts. Of
            a snapshot in the cache of huggingface_hub, the name of the model counts.
    """
    parts = [part for part in re.split(r"[/\\]", name) if part]
    if len(parts) > 2 and _SNAPSHOT.fullmatch(parts[-1]) and parts[-2] == "snapshots":
        parts = parts[-3].split("--")
    plain = re.sub(r"[_\s]", "-", parts[-1].lower()) if parts else ""
    for pattern, family in _NAMES:
        if re.search(_START + pattern + _END, plain):
            return FAMILIES[family]
    return None


def resolve_family(config: Mapping[str, Any], override: str | None, where: str) -> Family:
    """Find the family of a checkpoint.

    The first of these decides: the caller, the key `maniplvm_family` of the config, the name of a
    published model that was trained on this architecture, and the architecture. The same model
    therefore has the same family as a folder, on the hub and on a server.

    Args:
        config: Content of its `config.json`.
        override: Family that the caller chose; None reads config and name.
        where: Name of the checkpoint: a folder or an id on the hub.

    Raises:
        UserError: an unknown family or model type, or a name that contradicts the architecture. The
            message lists the valid families.
    """
    named = override if override is not None else config.get(CONFIG_KEY)
    if named is not None:
        if named not in FAMILIES:
            raise UserError(
                f"{where}: unknown model family {named!r}; choose from {', '.join(FAMILIES)}"
            )
        return FAMILIES[named]
    model_type = str(config.get("model_type"))
    by_name, by_type = family_in_name(where), FAMILY_OF_MODEL_TYPE.get(model_type)
    if by_name is not None and by_name.name != by_type:
        if by_type is None or model_type in _ARCHITECTURES.get(by_name.name, ()):
            return by_name
        raise UserError(
            f"{where}: its name states the family {by_name.name}, but the model type of its "
            f"config.json is {model_type}; their coordinate frames differ, so declare the family: "
            f"--family, model.family in a recipe, or {CONFIG_KEY!r} in config.json"
        )
    if by_type is None:
        raise UserError(
            f"{where}: no family is known for model type {model_type!r}; pass the family whose "
            f"frame and prompt it was trained with as family=, one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[by_type]
