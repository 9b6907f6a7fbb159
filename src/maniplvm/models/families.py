"""Model families: how a checkpoint is asked, and the numbers in which it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES, FrameSpec
from maniplvm.tasks import PROMPTS, PromptStyle

CONFIG_KEY = "maniplvm_family"
"""Where a checkpoint's `config.json` names a family that its architecture does not tell."""

FAMILY_OF_MODEL_TYPE: Mapping[str, str] = MappingProxyType(
    {
        "qwen2_vl": "qwen2_vl",
        "qwen2_5_vl": "qwen2_5_vl",
        "qwen3_vl": "qwen3_vl",
        "qwen3_vl_moe": "qwen3_vl",
    }
)
"""The family that a `model_type` of transformers speaks, where nobody says otherwise."""


@dataclass(frozen=True)
class Family:
    """A way of asking and answering, shared by checkpoints that were taught alike.

    The architecture alone does not tell it: a model of class Qwen2.5-VL may have been taught to
    answer in 0..1. So it can be overridden, and a saved model remembers it (`CONFIG_KEY`).

    Attributes:
        name: Its name in `PROMPTS` and `FRAMES`.
    """

    name: str

    @property
    def prompt(self) -> PromptStyle:
        """How it is asked."""
        return PROMPTS[self.name]

    @property
    def frame(self) -> FrameSpec:
        """The numbers that it speaks, before a checkpoint's own image sizes are known."""
        return FRAMES[self.name]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {name: Family(name) for name in PROMPTS if name in FRAMES}
)
"""Every family by name."""


def resolve_family(config: Mapping[str, Any], override: str | None, where: str) -> Family:
    """The family of a checkpoint.

    Args:
        config: The content of its `config.json`.
        override: The caller's word, which wins; None reads the config.
        where: What an error calls the checkpoint.

    Raises:
        UserError: an unknown family or model type; the valid families are listed.
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
            f"{where}: no family is known for model type {model_type!r}; say which frame and "
            f"prompt it was taught with family=, one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[FAMILY_OF_MODEL_TYPE[model_type]]
