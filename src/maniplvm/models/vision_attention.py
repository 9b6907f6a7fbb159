"""Compute the vision tower's attention over equally large images in one call."""

from __future__ import annotations

from functools import partial
from typing import Any

from maniplvm.optional import torch

_LOOPED_ATTENTION = "Qwen3VLVisionAttention"


def batch_equal_images(model: Any) -> int:
    """Change the vision tower of a Qwen3-VL model to attend to equally large images in one call.

    transformers loops over the images of a batch unless flash attention is used. For small images
    the loop costs more than the attention itself. The results stay the same. Images of different
    sizes and other attention implementations than SDPA use the original code.

    Args:
        model: Any model; one without such a vision tower is not changed.

    Returns:
        The number of attention layers that were changed.
    """
    layers = [each for each in model.modules() if type(each).__name__ == _LOOPED_ATTENTION]
    for layer in layers:
        if "forward" not in vars(layer):
            layer.forward = partial(_attend, layer, layer.forward)
    return len(layers)


def _attend(
    layer: Any,
    original: Any,
    hidden_states: Any,
    cu_seqlens: Any,
    position_embeddings: Any = None,
    **options: Any,
) -> Any:
    lengths = cu_seqlens.diff()
    equal = len(lengths) > 1 and bool((lengths == lengths[0]).all())
    if not equal or layer.config._attn_implementation != "sdpa" or position_embeddings is None:
        return original(
            hidden_states, cu_seqlens, position_embeddings=position_embeddings, **options
        )
    images, patches = len(lengths), int(lengths[0])
    joint = layer.qkv(hidden_states).view(images, patches, 3, layer.num_heads, -1)
    query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)  # each (image, head, patch, dim)
    cosine, sine = (part.view(images, 1, patches, -1).float() for part in position_embeddings)
    query, key = (_rotated(each, cosine, sine) for each in (query, key))
    attended = torch().nn.functional.scaled_dot_product_attention(
        query, key, value, scale=layer.scaling
    )
    return layer.proj(attended.transpose(1, 2).reshape(hidden_states.shape))


def _rotated(states: Any, cosine: Any, sine: Any) -> Any:
    """Apply a rotary embedding (Su et al., 2021) in float32; it pairs the halves of a head."""
    wide = states.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cosine + torch().cat((-second, first), dim=-1) * sine).to(states.dtype)
