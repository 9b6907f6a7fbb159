"""KV cache for decoding that stores, and reads, the keys and values of a prompt once per group.

A new token attends to its prompt and to its own completion. The scores on the prompt are one
matrix product for each group, and the scores on the completion one for each row. One softmax
covers both.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from maniplvm.training.shared_prefix.support import use_attention

ATTENTION = "shared_prefix_kv_cache"
"""Name of `cached_prefix_attention` in the `AttentionInterface` of transformers."""
_INITIAL_CAPACITY = 32


class PrefixKVCache:
    """Keys and values of `N` prompts and of their `B` completions.

    It has the methods that transformers calls on a cache.

    Args:
        prompts: The cache after prefill of the `N` prompts.
        mask: `(N, P)` 1 on tokens.
        prompt_index: `(B,)` index of the prompt of each completion, ascending.
    """

    def __init__(self, prompts: Any, mask: Tensor, prompt_index: Tensor) -> None:
        self.prompts = [(layer.keys, layer.values) for layer in prompts.layers]
        self.bias: Tensor | None = None
        if not bool((mask != 0).all()):
            lowest = torch.finfo(torch.float32).min
            zeros = torch.zeros(mask.shape, device=mask.device)
            self.bias = zeros.masked_fill(mask == 0, lowest)[:, None, None, None]
        self.completions: list[tuple[Tensor, Tensor] | None] = [None] * len(self.prompts)
        self.length = 0
        self._set_groups(prompt_index)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Number of cached tokens of a row, with padding."""
        return self.prompts[layer_idx][0].shape[2] + self.length

    def update(
        self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append one token to each row.

        Args:
            key: `(B, K, 1, D)`.
            value: `(B, K, 1, D)`.
            layer_idx: Index of the layer.

        Returns:
            Keys and values of the completions, without the prompts.
        """
        cached = self.completions[layer_idx]
        if cached is None or cached[0].shape[2] == self.length:
            cached = self.completions[layer_idx] = (
                self._extend(key, cached, 0),
                self._extend(value, cached, 1),
            )
        length = self.length + 1
        cached[0][:, :, self.length] = key[:, :, 0]
        cached[1][:, :, self.length] = value[:, :, 0]
        if layer_idx == len(self.completions) - 1:
            self.length = length
        return cached[0][:, :, :length], cached[1][:, :, :length]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only some completions, and only the prompts that these need.

        Args:
            indices: Ascending indices of completions.
        """
        prompts, prompt_index = torch.unique_consecutive(
            self.prompt_index[indices], return_inverse=True
        )
        if len(prompts) < len(self.prompts[0][0]):
            self.prompts = [(keys[prompts], values[prompts]) for keys, values in self.prompts]
            self.bias = None if self.bias is None else self.bias[prompts]
        for layer, cached in enumerate(self.completions):
            if cached is not None:
                capacity = min(cached[0].shape[2], self.length + _INITIAL_CAPACITY)
                keys, values = (each[indices, :, :capacity] for each in cached)
                self.completions[layer] = (keys, values)
        self._set_groups(prompt_index)

    def group_by_prompt(self, rows: Tensor) -> Tensor:
        """Rows `(B, ...)` as `(N, G, ...)`, with zeros where a group is smaller than `G`."""
        count = len(self.prompts[0][0])
        if self.equal_groups:
            return rows.view(count, self.group_size, *rows.shape[1:])
        table = rows.new_zeros(count, self.group_size, *rows.shape[1:])
        table[self.prompt_index, self.group_rank] = rows
        return table

    def ungroup(self, table: Tensor) -> Tensor:
        """Inverse of `group_by_prompt`: `(N, G, ...)` as `(B, ...)`."""
        if self.equal_groups:
            return table.flatten(0, 1)
        return table[self.prompt_index, self.group_rank]

    def _set_groups(self, prompt_index: Tensor) -> None:
        """Store the position of each completion in its group, and the size of the largest group."""
        self.prompt_index = prompt_index
        counts = torch.bincount(prompt_index, minlength=len(self.prompts[0][0]))
        first = counts.cumsum(0) - counts
        rows = torch.arange(len(prompt_index), device=prompt_index.device)
        self.group_rank = rows - first[prompt_index]
        self.group_size = int(counts.max())
        self.equal_groups = bool((counts == self.group_size).all())

    def _extend(self, token: Tensor, cached: tuple[Tensor, Tensor] | None, which: int) -> Tensor:
        batch, heads, _, width = token.shape
        capacity = _INITIAL_CAPACITY if cached is None else 2 * cached[which].shape[2]
        extended = token.new_empty(batch, heads, capacity, width)
        if cached is not None:
            extended[:, :, : self.length] = cached[which]
        return extended


def cached_prefix_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    prefix_cache: PrefixKVCache,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token of each row to its prompt and its own completion.

    Args:
        module: The attention layer.
        query: `(B, H, 1, D)`.
        key: `(B, K, C, D)` of the completions, from `PrefixKVCache.update`.
        value: `(B, K, C, D)` of the completions, from `PrefixKVCache.update`.
        attention_mask: Ignored. Every cached token of a row is visible.
        prefix_cache: The cache.
        scaling: Scale of the attention scores.

    Returns:
        `(B, 1, H, D)`, and None in place of attention weights.
    """
    batch, heads, _one, width = query.shape
    key_heads = key.shape[1]
    queries_per_key = heads // key_heads
    scale = width**-0.5 if scaling is None else scaling
    prompt_key, prompt_value = prefix_cache.prompts[module.layer_idx]
    count, prompt_length = prompt_key.shape[0], prompt_key.shape[2]
    query = query.view(batch, key_heads, queries_per_key, width) * scale

    # One matrix product for each group: (N, K, G * queries_per_key, D) by (N, K, D, P).
    grouped = prefix_cache.group_by_prompt(query).transpose(1, 2)
    flat = grouped.reshape(count, key_heads, -1, width)
    on_prompt = (flat @ prompt_key.transpose(-1, -2)).float()
    group_size = prefix_cache.group_size
    on_prompt = on_prompt.view(count, key_heads, group_size, queries_per_key, prompt_length)
    if prefix_cache.bias is not None:
        on_prompt = on_prompt + prefix_cache.bias
    on_completion = (query @ key.transpose(-1, -2)).float()
    scores = torch.cat([prefix_cache.ungroup(on_prompt.transpose(1, 2)), on_completion], -1)
    weights = scores.softmax(-1).to(value.dtype)

    grouped = prefix_cache.group_by_prompt(weights[..., :prompt_length]).transpose(1, 2)
    from_prompt = grouped.reshape(count, key_heads, -1, prompt_length) @ prompt_value
    from_prompt = from_prompt.view(count, key_heads, group_size, queries_per_key, width)
    output = prefix_cache.ungroup(from_prompt.transpose(1, 2))
    output = output + weights[..., prompt_length:] @ value
    return output.reshape(batch, 1, heads, width), None


AttentionInterface.register(ATTENTION, cached_prefix_attention)


def use_cached_prefix_attention(base: Any) -> AbstractContextManager[None]:
    """Context in which the language model uses `cached_prefix_attention`.

    The model then takes `prefix_cache=`.
    """
    return use_attention(base, ATTENTION)
