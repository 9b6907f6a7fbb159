"""The widths and depths of a vision-language model that decide how much memory a token takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stack:
    """Equal transformer blocks, one after the other.

    Attributes:
        depth: How many.
        width: Of the residual stream.
        attention: All query heads together.
        key_value: All key (or value) heads together; fewer than the queries' under grouping.
        inner: Inner width of the feed-forward part.
        gated: Whether that part multiplies two projections (SwiGLU) or has a single one.
        wide_norms: Whether its norms compute in float32 and keep that copy (RMSNorm), or not.
    """

    depth: int
    width: int
    attention: int
    key_value: int
    inner: int
    gated: bool = True
    wide_norms: bool = True


@dataclass(frozen=True)
class Shapes:
    """What a token, a patch and a vocabulary entry cost.

    Attributes:
        text: The language model's blocks.
        vision: The vision tower's blocks; None where its config uses names that we do not know.
        vocabulary: Entries.
        merge: Patches that become one image token.
    """

    text: Stack
    vision: Stack | None
    vocabulary: int
    merge: int


def read_shapes(config: Any) -> Shapes:
    """The shapes of a model, from the configuration that transformers made of its `config.json`.

    Args:
        config: A `PreTrainedConfig` of an image-text-to-text model.
    """
    text = config.get_text_config()
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    groups = getattr(text, "num_key_value_heads", None) or heads
    vision = getattr(config, "vision_config", None)
    return Shapes(
        text=Stack(
            depth=text.num_hidden_layers,
            width=text.hidden_size,
            attention=heads * head,
            key_value=groups * head,
            inner=text.intermediate_size,
        ),
        vision=None if vision is None else _tower(vision),
        vocabulary=text.vocab_size,
        merge=int(getattr(vision, "spatial_merge_size", 1)) ** 2,
    )


def _tower(vision: Any) -> Stack | None:
    depth = getattr(vision, "depth", None) or getattr(vision, "num_hidden_layers", None)
    width = getattr(vision, "embed_dim", None) or getattr(vision, "hidden_size", None)
    inner = getattr(vision, "intermediate_size", None)
    if inner is None and width is not None and getattr(vision, "mlp_ratio", None) is not None:
        inner = int(width * vision.mlp_ratio)
    if depth is None or width is None or inner is None:
        return None
    gated = getattr(vision, "model_type", "").startswith("qwen2_5_vl")
    return Stack(depth, width, width, width, inner, gated=gated, wide_norms=gated)
