"""Which models and batches can share a prefix, and where their parts are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maniplvm.models.parameters import base_model

ATTENTIONS = ("sdpa", "eager")
"""Implementations of attention that take a mask of any shape."""


def obstacle(model: Any) -> str | None:
    """Why a model cannot share a prefix, as the end of a sentence; None if it can.

    Args:
        model: A model of transformers, wrapped by peft or not, but not by a launcher.
    """
    base = base_model(model)
    text = base.config.get_text_config()
    attention = text._attn_implementation
    if attention not in ATTENTIONS:
        return (
            f"attention {attention} takes no mask of this shape (choose {' or '.join(ATTENTIONS)})"
        )
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        return f"it has layers of {', '.join(sorted(kinds))}"
    if getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        return "its attention slides"
    if has_tower(base) and rope_of(base) is None:
        return f"{type(base).__name__} lays images out in a way that is not known here"
    return None


def has_tower(base: Any) -> bool:
    """Whether a model without wrapper has a part that reads images."""
    return getattr(base.config, "vision_config", None) is not None


def rope_of(base: Any) -> Any:
    """The module that computes M-RoPE positions, or None."""
    backbone = base.base_model
    return backbone if hasattr(backbone, "get_rope_index") else None


def merge_size_of(base: Any) -> int:
    """Side of the square of patches that make one image token."""
    return getattr(getattr(base.config, "vision_config", None), "spatial_merge_size", 1)


@contextmanager
def attends_by(base: Any, attention: str) -> Iterator[None]:
    """Inside, the language model attends by the registered function of this name."""
    text = base.config.get_text_config()
    usual = text._attn_implementation
    text._attn_implementation = attention
    try:
        yield
    finally:
        text._attn_implementation = usual
