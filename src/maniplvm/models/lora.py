"""Low-rank adapters (LoRA; Hu et al., 2021) on the language model, with peft."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.config import validated
from maniplvm.errors import UserError
from maniplvm.models.parameters import vision_tower
from maniplvm.models.untrusted import (
    check_files,
    check_pattern,
    library_errors,
    read_json,
    stored_weights,
)
from maniplvm.optional import peft, safetensors, torch

LANGUAGE_TARGETS = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
"""All linear layers in the blocks of a Qwen language model."""

HEAD = "lm_head"

_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"

_LARGEST_RANK = 4096
"""Largest rank of an adapter that is loaded."""

_PATTERNS = ("target_modules", "exclude_modules")
_NAMES_IN_PATTERNS = ("modules_to_save", "alpha_pattern", "layers_pattern")
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)


@validated
@dataclass(frozen=True)
class LoraSettings:
    """Size of the adapters, and the layers that get one.

    Attributes:
        rank: Inner width of an adapter.
        alpha: Scale of an adapter's output, which is multiplied by `alpha / rank`.
        dropout: Fraction of an adapter's inputs that are dropped in training, in [0, 1). Policy
            optimisation needs 0, because a policy must give the same probability twice.
        targets: Linear layers of the language model, by the last part of their names. Layers of
            the vision tower are excluded, even if they have the same name.
        vision: Whether all linear layers of the vision tower get an adapter as well.

    Raises:
        UserError: a number out of range, no target, or the head as a target.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = LANGUAGE_TARGETS
    vision: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(f"lora: rank must be at least 1, got {self.rank}")
        if not self.alpha > 0:
            raise UserError(f"lora: alpha must be above 0, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"lora: dropout must lie in [0, 1), got {self.dropout}")
        if not self.targets:
            raise UserError("lora: targets is empty; name linear layers such as q_proj")
        if HEAD in self.targets:
            raise UserError(
                f"lora: {HEAD} cannot be a target; trainers read the head's own weights, "
                "so an adapter on it would not be trained"
            )


def add_lora(model: Any, settings: LoraSettings) -> Any:
    """Freeze a model and add adapters to it.

    Returns:
        The `PeftModel`; only its adapters are trainable.

    Raises:
        UserError: a target that is no linear layer of the language model; the message lists the
            valid ones.
    """
    language, vision = _linear_layers(model)
    known = sorted({_last(name) for name in language})
    unknown = [target for target in settings.targets if target not in known]
    if unknown:
        raise UserError(
            f"lora: {', '.join(unknown)}: no linear layer of the language model; "
            f"choose from {', '.join(known)}"
        )
    chosen = [name for name in language if _last(name) in settings.targets]
    if settings.vision:
        chosen += vision
    library = peft()
    config = library.LoraConfig(
        task_type=library.TaskType.CAUSAL_LM,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_pattern(chosen),
    )
    return library.get_peft_model(model, config)


def merge_adapter(model: Any, folder: Path) -> Any:
    """Merge a trained adapter into the weights of a model.

    Raises:
        UserError: the folder holds no adapter, or that of another model.
    """
    for name in (_ADAPTER_CONFIG, _ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no LoRA adapter here ({name} is missing)")
    check_files(folder, str(folder))
    names = [name for name, _ in model.named_modules()]
    _check_adapter_settings(read_json(folder / _ADAPTER_CONFIG), names, folder)
    stored_weights(folder / _ADAPTER_WEIGHTS, str(folder), only_floats=True)
    library = peft()
    with library_errors(str(folder), "this adapter does not fit the model"):
        adapted = library.PeftModel.from_pretrained(model, str(folder), is_trainable=False)
        with safetensors().safe_open(folder / _ADAPTER_WEIGHTS, framework="pt") as file:
            stored = set(file.keys())
    differing = stored.symmetric_difference(library.get_peft_model_state_dict(adapted))
    if differing:
        raise UserError(
            f"{folder}: this adapter does not fit the model ({len(differing)} layers differ, "
            f"such as {min(differing)})"
        )
    return adapted.merge_and_unload().requires_grad_(True)


def _check_adapter_settings(settings: Mapping[str, Any], names: list[str], folder: Path) -> None:
    """Refuse settings for which peft would take much memory or time.

    Raises:
        UserError: the rank is no integer up to `_LARGEST_RANK`, layers are copied, or names of
            layers are patterns that are invalid or slow.
    """
    rank = settings.get("r")
    if type(rank) is not int or not 1 <= rank <= _LARGEST_RANK:
        raise UserError(f"{folder}: the rank r of an adapter is an integer up to {_LARGEST_RANK}")
    if settings.get("layer_replication") is not None or settings.get("rank_pattern"):
        raise UserError(
            f"{folder}: layer_replication and rank_pattern of an adapter are not supported"
        )
    for key in _NAMES_IN_PATTERNS:  # peft puts these names into patterns of its own
        listed = settings.get(key) or ()
        for name in [listed] if isinstance(listed, str) else listed:
            if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
                raise UserError(f"{folder}: {key} of an adapter must hold plain names of layers")
    for key in _PATTERNS:
        pattern = settings.get(key)
        if isinstance(pattern, str):
            check_pattern(pattern, names, f"{folder}: {key} of the adapter")


def _linear_layers(model: Any) -> tuple[list[str], list[str]]:
    """Names of the linear layers of the language model, without its head, and of the vision tower."""
    linear = torch().nn.Linear
    inside = {id(module) for module in vision_tower(model).modules()}
    layers = [(name, each) for name, each in model.named_modules() if isinstance(each, linear)]
    language = [name for name, each in layers if id(each) not in inside and _last(name) != HEAD]
    return language, [name for name, each in layers if id(each) in inside]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _pattern(names: list[str]) -> str:
    """A regular expression for exactly these modules, with any block number."""
    return "|".join(sorted({re.sub(r"(?<=\\\.)\d+(?=\\\.)", r"\\d+", re.escape(n)) for n in names}))
