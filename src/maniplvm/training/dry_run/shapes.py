"""Sizes of a vision-language model that decide how much memory a token needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TransformerShape:
    """Sizes of a stack of equal transformer blocks.

    Attributes:
        depth: Number of blocks.
        width: Width of the residual stream.
        attention: Width of all query heads together.
        key_value: Width of all key (or value) heads together; smaller with grouped queries.
        inner: Inner width of the feed-forward part.
        gated: Whether the feed-forward part multiplies two projections (SwiGLU).
        wide_norms: Whether norms compute in float32 and keep that copy (RMSNorm).
    """

    depth: int
    width: int
    attention: int
    key_value: int
    inner: int
    gated: bool = True
    wide_norms: bool = True


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a vision-language model.

    Attributes:
        text: Blocks of the language model.
        vision: Blocks of the vision encoder; None if its config has unknown field names.
        vocabulary: Size of the vocabulary.
        merge: Number of patches that become one image token.
    """

    text: TransformerShape
    vision: TransformerShape | None
    vocabulary: int
    merge: int


def read_shape(config: Any) -> ModelShape:
    """The sizes of a model.

    Args:
        config: The `PreTrainedConfig` of an image-text-to-text model.
    """
    text = config.get_text_config()
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    groups = getattr(text, "num_key_value_heads", None) or heads
    vision = getattr(config, "vision_config", None)
    return ModelShape(
        text=TransformerShape(
            depth=text.num_hidden_layers,
            width=text.hidden_size,
            attention=heads * head,
            key_value=groups * head,
            inner=text.intermediate_size,
        ),
        vision=None if vision is None else _vision_shape(vision),
        vocabulary=text.vocab_size,
        merge=int(getattr(vision, "spatial_merge_size", 1)) ** 2,
    )


def _vision_shape(vision: Any) -> TransformerShape | None:
    depth = getattr(vision, "depth", None) or getattr(vision, "num_hidden_layers", None)
    width = getattr(vision, "embed_dim", None) or getattr(vision, "hidden_size", None)
    inner = getattr(vision, "intermediate_size", None)
    if inner is None and width is not None and getattr(vision, "mlp_ratio", None) is not None:
        inner = int(width * vision.mlp_ratio)
    if depth is None or width is None or inner is None:
        return None
    gated = getattr(vision, "model_type", "").startswith("qwen2_5_vl")
    return TransformerShape(depth, width, width, width, inner, gated=gated, wide_norms=gated)
