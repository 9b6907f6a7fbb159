"""Which models and generation settings can share a prefix, and access to parts of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from maniplvm.models.parameters import base_model

SUPPORTED_ATTENTION = ("sdpa", "eager")
"""Attention implementations that accept a mask of any shape."""


def unsupported_reason(model: Any) -> str | None:
    """Why a model cannot share a prefix, or None if it can.

    Args:
        model: A transformers model, with or without a peft wrapper, but not wrapped for
            distributed training.
    """
    base = base_model(model)
    text = base.config.get_text_config()
    attention = text._attn_implementation
    if attention not in SUPPORTED_ATTENTION:
        supported = " or ".join(SUPPORTED_ATTENTION)
        return f"attention {attention} does not accept the mask of packed rows (use {supported})"
    layer_types = set(getattr(text, "layer_types", None) or ()) - {"full_attention"}
    if layer_types:
        return f"the model has layers of type {', '.join(sorted(layer_types))}"
    if getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        return "the model uses sliding-window attention"
    if has_vision_tower(base) and mrope_module(base) is None:
        return f"the image token layout of {type(base).__name__} is not supported"
    return None


def dropout_reason(model: Any) -> str | None:
    """Why dropout prevents sharing, or None if the model has no dropout.

    With repeated prompts every row has its own random mask, so one copy of the prompt cannot
    replace the others.

    Args:
        model: A transformers model, with or without a peft wrapper.
    """
    for name, module in model.named_modules():
        rates = {key: value for key, value in vars(module).items() if "drop" in key.lower()}
        if isinstance(module, _DropoutNd):
            rates["p"] = module.p
        for key, rate in rates.items():
            if isinstance(rate, float) and rate > 0:
                if "lora_dropout" in name:
                    return f"the adapters have dropout {rate:g} (set model.lora.dropout to 0)"
                where = f"{name}.{key}".lstrip(".")
                return f"{where} is {rate:g} (set dropout to 0 in the config.json of the model)"
    return None


def unsupported_generation_reason(config: Any) -> str | None:
    """Why completions cannot be sampled from a shared prefill, or None if they can.

    Args:
        config: The `GenerationConfig`.
    """
    if config.num_beams not in (None, 1) or config.num_return_sequences not in (None, 1):
        return "beam search and num_return_sequences > 1 are not supported"
    if config.cache_implementation not in (None, "dynamic"):
        return f"cache_implementation {config.cache_implementation} is not supported"
    if config.repetition_penalty not in (None, 1.0):
        return "repetition_penalty is not supported"
    if config.guidance_scale not in (None, 1, 1.0) or config.prompt_lookup_num_tokens is not None:
        return "guidance_scale and prompt_lookup_num_tokens are not supported"
    return None


def has_vision_tower(base: Any) -> bool:
    """Whether a transformers model without wrapper has a vision tower."""
    return getattr(base.config, "vision_config", None) is not None


def mrope_module(base: Any) -> Any:
    """The module that computes M-RoPE position ids, or None."""
    backbone = base.base_model
    return backbone if hasattr(backbone, "get_rope_index") else None


def spatial_merge_size(base: Any) -> int:
    """Side of the square of patches that becomes one image token."""
    return getattr(getattr(base.config, "vision_config", None), "spatial_merge_size", 1)


@contextmanager
def use_attention(base: Any, attention: str) -> Iterator[None]:
    """Context in which the language model uses another registered attention function.

    Layers that gradient checkpointing computes again use that function again, also after the
    context. This needs `can_recompute_attention`.

    Args:
        base: A transformers model without wrapper.
        attention: The name under which the function is registered in `AttentionInterface`.
    """
    text = base.config.get_text_config()

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _replace_attention(text, attention)

    recomputes = torch.is_grad_enabled() and can_recompute_attention(base)
    checkpointed = _checkpointed_layers(base) if recomputes else []
    layers = [(layer, layer._gradient_checkpointing_func) for layer in checkpointed]
    for layer, function in layers:
        layer._gradient_checkpointing_func = partial(function, context_fn=contexts)
    try:
        with _replace_attention(text, attention):
            yield
    finally:
        for layer, function in layers:
            layer._gradient_checkpointing_func = function


def can_recompute_attention(base: Any) -> bool:
    """Whether gradient checkpointing, if any, can use another attention function a second time.

    It can with `use_reentrant: false`, the default of transformers. Then PyTorch has a context for
    the second computation.

    Args:
        base: A transformers model without wrapper.
    """
    functions = [layer._gradient_checkpointing_func for layer in _checkpointed_layers(base)]
    has_wrappers = any(isinstance(module, CheckpointWrapper) for module in base.modules())
    return not has_wrappers and all(
        isinstance(function, partial)
        and function.func is checkpoint
        and function.keywords.get("use_reentrant") is False
        and "context_fn" not in function.keywords
        for function in functions
    )


@contextmanager
def _replace_attention(text: Any, attention: str) -> Iterator[None]:
    previous = text._attn_implementation
    text._attn_implementation = attention
    try:
        yield
    finally:
        text._attn_implementation = previous


def _checkpointed_layers(base: Any) -> list[Any]:
    return [
        module
        for module in base.modules()
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing
    ]
