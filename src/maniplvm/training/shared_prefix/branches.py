"""Attention over packed rows without a mask: prompts by themselves, completions after them.

A mask over a row of `L` tokens costs `L` squared, though siblings never look at each other. Here
prompts attend causally to themselves, and each completion to its prompt and itself: two calls of
scaled dot-product attention, with nothing computed that would be masked between siblings.
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
from maniplvm.training.shared_prefix.support import attends_by

ATTENTION = "shared_prefix_branches"
"""The name under which transformers finds the attention of this module."""


@dataclass(frozen=True, eq=False)
class Branches:
    """Where the tokens of packed rows go for attention, and where they come back from.

    Attributes:
        prompt_places: `(N * P,)` flat place of each prompt token; the first place on padding.
        completion_places: `(B * C,)` likewise of each completion token.
        prompt_of: `(B,)` the block of each completion.
        shape: `(N, P, B, C)`.
        visible: `(B or 1, 1, C, P + C)` what is added to the scores of completions.
        sources: `(R * L,)` for each place its row in prompts then completions.
    """

    prompt_places: Tensor
    completion_places: Tensor
    prompt_of: Tensor
    shape: tuple[int, int, int, int]
    visible: Tensor
    sources: Tensor


def branches_of(packed: PackedRows, dtype: torch.dtype) -> Branches:
    """Lay out the attention of packed rows.

    Args:
        packed: The rows.
        dtype: In which attention is computed.
    """
    device = packed.block.device
    block, segment = packed.block.flatten(), packed.segment.flatten()
    everywhere = torch.arange(len(block), device=device)
    prompts = everywhere[(block >= 0) & (segment == 0)]
    answers = everywhere[(block >= 0) & (segment > 0)]
    count = int(block.max()) + 1
    stride = int(segment.max()) + 1
    present, owner = torch.unique_consecutive(
        block[answers] * stride + segment[answers], return_inverse=True
    )
    prompt_of = present // stride
    prompt_table, prompt_rank, prompt_lengths = _table(prompts, block[prompts], count)
    table, rank, _ = _table(answers, owner, len(present))
    prompt_width, width = prompt_table.shape[1], table.shape[1]

    sources = torch.zeros_like(everywhere)
    sources[prompts] = block[prompts] * prompt_width + prompt_rank
    sources[answers] = count * prompt_width + owner * width + rank
    own = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    column = torch.arange(prompt_width, device=device)
    if bool((prompt_lengths == prompt_width).all()):
        before = torch.ones(1, 1, 1, prompt_width, dtype=torch.bool, device=device)
    else:
        before = (column < prompt_lengths[prompt_of, None])[:, None, None]
    allowed = torch.cat(
        [before.expand(-1, 1, width, -1), own.expand(len(before), 1, -1, -1)], dim=-1
    )
    visible = torch.zeros(allowed.shape, dtype=dtype, device=device)
    visible = visible.masked_fill(~allowed, torch.finfo(dtype).min)
    shape = (count, prompt_width, len(present), width)
    return Branches(prompt_table.flatten(), table.flatten(), prompt_of, shape, visible, sources)


def branched_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    branches: Branches,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention over packed rows.

    Args:
        module: The layer.
        query: `(R, H, L, D)`.
        key: `(R, K, L, D)`.
        value: `(R, K, L, D)`.
        attention_mask: Not looked at.
        branches: The layout.
        scaling: Of the scores.

    Returns:
        `(R, L, H, D)`, and no weights.
    """
    rows, heads, length, width = query.shape
    count, answers = branches.shape[0], branches.shape[2]
    flat = [each.transpose(1, 2).flatten(0, 1) for each in (query, key, value)]
    prompts = [_gathered(each, branches.prompt_places, count) for each in flat]
    tails = [_gathered(each, branches.completion_places, answers) for each in flat]
    many = key.shape[1] != heads

    on_prompts = scaled_dot_product_attention(
        prompts[0], prompts[1], prompts[2], is_causal=True, scale=scaling, enable_gqa=many
    )
    behind = [
        torch.cat([head.index_select(0, branches.prompt_of), tail], dim=2)
        for head, tail in zip(prompts[1:], tails[1:], strict=True)
    ]
    if many:
        behind = [each.repeat_interleave(heads // key.shape[1], dim=1) for each in behind]
    on_answers = scaled_dot_product_attention(
        tails[0], behind[0], behind[1], attn_mask=branches.visible.to(query.dtype), scale=scaling
    )
    together = torch.cat(
        [each.transpose(1, 2).reshape(-1, heads * width) for each in (on_prompts, on_answers)]
    )
    output = together.index_select(0, branches.sources)
    return output.view(rows, length, heads, width), None


AttentionInterface.register(ATTENTION, branched_attention)


def attends_in_branches(base: Any) -> AbstractContextManager[None]:
    """Inside, the language model takes `branches=` and attends by `branched_attention`."""
    return attends_by(base, ATTENTION)


def _gathered(flat: Tensor, places: Tensor, count: int) -> Tensor:
    """`(R * L, H, D)` as `(count, H, W, D)`."""
    rows = flat.flatten(1).index_select(0, places)
    return rows.view(count, -1, *flat.shape[1:]).transpose(1, 2)


def _table(places: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places by owner, padded with 0: the table, the column of each place, and lengths."""
    lengths = torch.bincount(owner, minlength=count)
    order = torch.argsort(owner, stable=True)
    rank = torch.empty_like(owner)
    first = lengths.cumsum(0) - lengths
    rank[order] = torch.arange(len(owner), device=owner.device) - first[owner[order]]
    table = places.new_zeros(count, int(lengths.max()) if count else 0)
    table[owner, rank] = places
    return table, rank, lengths
