"""Three implementations of attention over one packed row: their time, memory and difference."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from maniplvm.models import LoadedModel
from maniplvm.training.shared_prefix.groups import group_prompts
from maniplvm.training.shared_prefix.packing import PROMPT, PackedRows, pack_rows, plan_blocks
from maniplvm.training.shared_prefix.policy import prompt_positions
from maniplvm.training.shared_prefix.prefix_attention import (
    build_attention_layout,
    prefix_attention,
)
from shared_prefix import peak_bytes, seconds
from shared_prefix_implementations import Batch
from shared_prefix_models import Size, head_width


def compare_attention(loaded: LoadedModel, size: Size, rounds: int) -> dict[str, Any]:
    """Forward and backward pass of each implementation on random bfloat16 tensors.

    FlexAttention has no backward pass on a CPU, where only its forward pass is measured.

    Args:
        loaded: The model whose heads and prompt are used.
        size: Lengths of the prompt and its completions.
        rounds: A third of the number of measured calls.

    Returns:
        The length of the packed row, and for each implementation time, memory and the largest
        difference from SDPA with a mask.
    """
    text, device = loaded.model.config.text_config, loaded.device
    heads, keys, width = text.num_attention_heads, text.num_key_value_heads, head_width(text)
    packed = packed_row(loaded, size)
    length = packed.input_ids.shape[1]
    torch.manual_seed(0)
    made = [
        torch.randn(1, each, length, width, device=device, dtype=torch.bfloat16)
        for each in (heads, keys, keys)
    ]
    inputs = [each.clone().requires_grad_() for each in made]
    row: dict[str, Any] = {"packed_tokens": length}
    expected = None
    for name, function in implementations(packed).items():
        backward = device.type == "cuda" or name != "flex"
        output = function(*made)
        expected = output if expected is None else expected

        def work(function: Any = function, backward: bool = backward) -> None:
            if not backward:
                function(*made)
                return
            function(*inputs).square().sum().backward()
            for each in inputs:
                each.grad = None

        work()  # compiles, and fills caches
        times = [seconds(work) for _ in range(3 * rounds)]
        peak = peak_bytes(work)
        row[name] = {
            "backward": backward,
            "milliseconds": round(1000 * statistics.median(times), 3),
            "mb": peak and round(peak / 2**20, 1),
            "max_diff": float((output - expected).abs().max()),
        }
    return row


def packed_row(loaded: LoadedModel, size: Size) -> PackedRows:
    """The packed row of one prompt and its completions."""
    batch = Batch(loaded, size)
    merge = loaded.model.config.vision_config.spatial_merge_size
    groups = group_prompts(batch.once, batch.ids, batch.mask, None, merge)
    blocks = plan_blocks(
        groups.prompt_lengths.tolist(),
        groups.completion_lengths.tolist(),
        groups.prompt_index.tolist(),
        groups.prompt_mask.numel() + groups.completion_mask.numel(),
    )
    return pack_rows(groups, [blocks], prompt_positions(loaded.model, groups), 0)


def implementations(packed: PackedRows) -> dict[str, Callable[..., Tensor]]:
    """Functions of query, key and value `(1, H, L, D)` that return `(1, H, L, D)`, by name."""
    layout = build_attention_layout(packed, torch.bfloat16)
    mask, segments = packed.attention_mask(), packed.segment_ids[0]
    device, length = segments.device, len(segments)

    def attends(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same = segments[query] == segments[key]
        return (query >= key) & (same | (segments[key] == PROMPT))

    blocks = create_block_mask(attends, None, None, length, length, device=str(device))
    flex: Any = torch.compile(flex_attention) if device.type == "cuda" else flex_attention

    def shared(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return prefix_attention(None, query, key, value, None, layout)[0].transpose(1, 2)

    def masked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)

    def flexible(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return flex(query, key, value, block_mask=blocks, enable_gqa=True)

    return {"masked": masked, "shared_prefix": shared, "flex": flexible}
