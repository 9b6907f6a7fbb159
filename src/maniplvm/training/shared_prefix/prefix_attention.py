"""Attention over packed rows without an `L * L` mask.

The mask of a packed row of `L` tokens costs memory of order `L` squared, although the completions
of a prompt do not attend to each other. This module makes two calls of scaled dot-product
attention instead: prompts attend causally to themselves, and each completion attends to its
prompt and to itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from maniplvm.training.shared_prefix.packing import PackedRows
from maniplvm.training.shared_prefix.support import use_attention

ATTENTION = "shared_prefix_attention"
"""Name of `prefix_attention` in the `AttentionInterface` of transformers."""


@dataclass(frozen=True, eq=False)
class PrefixAttentionLayout:
    """Index maps between packed rows and separate batches of prompts and completions.

    Attributes:
        prompt_indices: `(N * P,)` flat index of each prompt token, 0 on padding.
        completion_indices: `(B * C,)` flat index of each completion token, 0 on padding.
        prompt_index: `(B,)` index of the prompt of each completion.
        shape: `(N, P, B, C)`.
        attention_bias: `(B or 1, 1, C, P + C)` added to the attention scores of completions.
        output_indices: `(R * L,)` for each packed token, its row in the concatenated outputs of
            prompts and completions.
    """

    prompt_indices: Tensor
    completion_indices: Tensor
    prompt_index: Tensor
    shape: tuple[int, int, int, int]
    attention_bias: Tensor
    output_indices: Tensor


def build_attention_layout(packed: PackedRows, dtype: torch.dtype) -> PrefixAttentionLayout:
    """Build the index maps for packed rows.

    Args:
        packed: The packed rows.
        dtype: The dtype of attention.
    """
    device = packed.block_ids.device
    block, segment = packed.block_ids.flatten(), packed.segment_ids.flatten()
    indices = torch.arange(len(block), device=device)
    prompts = indices[(block >= 0) & (segment == 0)]
    completions = indices[(block >= 0) & (segment > 0)]
    count = int(block.max()) + 1
    stride = int(segment.max()) + 1
    distinct, owner = torch.unique_consecutive(
        block[completions] * stride + segment[completions], return_inverse=True
    )
    prompt_index = distinct // stride
    prompt_table, prompt_rank, prompt_lengths = _padded_table(prompts, block[prompts], count)
    table, rank, _ = _padded_table(completions, owner, len(distinct))
    prompt_width, width = prompt_table.shape[1], table.shape[1]

    output_indices = torch.zeros_like(indices)
    output_indices[prompts] = block[prompts] * prompt_width + prompt_rank
    output_indices[completions] = count * prompt_width + owner * width + rank
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    column = torch.arange(prompt_width, device=device)
    if bool((prompt_lengths == prompt_width).all()):
        on_prompt = torch.ones(1, 1, 1, prompt_width, dtype=torch.bool, device=device)
    else:
        on_prompt = (column < prompt_lengths[prompt_index, None])[:, None, None]
    mask = torch.cat(
        [on_prompt.expand(-1, 1, width, -1), causal.expand(len(on_prompt), 1, -1, -1)], dim=-1
    )
    bias = torch.zeros(mask.shape, dtype=dtype, device=device)
    bias = bias.masked_fill(~mask, torch.finfo(dtype).min)
    shape = (count, prompt_width, len(distinct), width)
    return PrefixAttentionLayout(
        prompt_table.flatten(), table.flatten(), prompt_index, shape, bias, output_indices
    )


def prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    prefix_layout: PrefixAttentionLayout,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention over packed rows, with the signature of `AttentionInterface`.

    Args:
        module: The attention layer.
        query: `(R, H, L, D)`.
        key: `(R, K, L, D)`.
        value: `(R, K, L, D)`.
        attention_mask: Ignored. The layout defines the mask.
        prefix_layout: The layout of the rows.
        scaling: Scale of the attention scores.

    Returns:
        `(R, L, H, D)`, and None in place of attention weights.
    """
    rows, heads, length, width = query.shape
    count, completions = prefix_layout.shape[0], prefix_layout.shape[2]
    flat = [each.transpose(1, 2).flatten(0, 1) for each in (query, key, value)]
    prompts = [_gather(each, prefix_layout.prompt_indices, count) for each in flat]
    own = [_gather(each, prefix_layout.completion_indices, completions) for each in flat]
    grouped_query = key.shape[1] != heads

    prompt_output = scaled_dot_product_attention(
        prompts[0], prompts[1], prompts[2], is_causal=True, scale=scaling, enable_gqa=grouped_query
    )
    context = [
        torch.cat([prompt.index_select(0, prefix_layout.prompt_index), completion], dim=2)
        for prompt, completion in zip(prompts[1:], own[1:], strict=True)
    ]
    if grouped_query:
        context = [each.repeat_interleave(heads // key.shape[1], dim=1) for each in context]
    completion_output = scaled_dot_product_attention(
        own[0],
        context[0],
        context[1],
        attn_mask=prefix_layout.attention_bias.to(query.dtype),
        scale=scaling,
    )
    outputs = torch.cat(
        [
            each.transpose(1, 2).reshape(-1, heads * width)
            for each in (prompt_output, completion_output)
        ]
    )
    output = outputs.index_select(0, prefix_layout.output_indices)
    return output.view(rows, length, heads, width), None


AttentionInterface.register(ATTENTION, prefix_attention)


def use_prefix_attention(base: Any) -> AbstractContextManager[None]:
    """Context in which the language model uses `prefix_attention` and takes `prefix_layout=`."""
    return use_attention(base, ATTENTION)


def _gather(flat: Tensor, indices: Tensor, count: int) -> Tensor:
    """Select from `(R * L, H, D)` and reshape to `(count, H, W, D)`."""
    rows = flat.flatten(1).index_select(0, indices)
    return rows.view(count, -1, *flat.shape[1:]).transpose(1, 2)


def _padded_table(indices: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices by owner padded with 0, the column of each index, and the length of each row."""
    lengths = torch.bincount(owner, minlength=count)
    order = torch.argsort(owner, stable=True)
    rank = torch.empty_like(owner)
    first = lengths.cumsum(0) - lengths
    rank[order] = torch.arange(len(owner), device=owner.device) - first[owner[order]]
    table = indices.new_zeros(count, int(lengths.max()) if count else 0)
    table[owner, rank] = indices
    return table, rank, lengths
