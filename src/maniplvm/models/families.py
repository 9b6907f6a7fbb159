"""Model families: the prompts and the coordinate frame that a checkpoint was trained with."""

from __future__ import annotations

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


def resolve_family(config: Mapping[str, Any], override: str | None, where: str) -> Family:
    """Find the family of a checkpoint.

    Args:
        config: Content of its `config.json`.
        override: Family that the caller chose; None reads the config.
        where: Name of the checkpoint in error messages.

    Raises:
        UserError: an unknown family or model type; the message lists the valid families.
    """
    named = override if override is not None else config.get(CONFIG_KEY)
    if named is not None:
        if named not in FAMILIES:
            raise UserError(
                f"{where}: unknown model family {named!r}; choose from {', '.join(FAMILIES)}"
            )
        return FAMILIES[named]
    model_type = str(config.get("model_type"))
    if model_type not in FAMILY_OF_MODEL_TYPE:
        raise UserError(
            f"{where}: no family is known for model type {model_type!r}; pass the family whose "
            f"frame and prompt it was trained with as family=, one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[FAMILY_OF_MODEL_TYPE[model_type]]
