"""Decoding siblings: keys and values of a prompt are held, and read, once for all of them.

A new token attends to its prompt and to its own completion. Scores on the prompt are one matrix
product a group; scores on the own part are one a row; one softmax runs over both.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from maniplvm.training.shared_prefix.support import attends_by

ATTENTION = "shared_prefix_siblings"
"""The name under which transformers finds the attention of this module."""
_FIRST_ROOM = 32


class SiblingCache:
    """Keys and values of `N` prompts, and of the completions that grow from them.

    It stands where transformers expects a cache.

    Args:
        prompts: The cache that reading `N` prompts has filled.
        mask: `(N, P)` 1 on tokens.
        prompt_of: `(B,)` the prompt of each completion, ascending.
    """

    def __init__(self, prompts: Any, mask: Tensor, prompt_of: Tensor) -> None:
        self.prompts = [(layer.keys, layer.values) for layer in prompts.layers]
        self.bias: Tensor | None = None
        if not bool((mask != 0).all()):
            lowest = torch.finfo(torch.float32).min
            zeros = torch.zeros(mask.shape, device=mask.device)
            self.bias = zeros.masked_fill(mask == 0, lowest)[:, None, None, None]
        self.own: list[tuple[Tensor, Tensor] | None] = [None] * len(self.prompts)
        self.length = 0
        self._seat(prompt_of)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before the one that comes next, padding included."""
        return self.prompts[layer_idx][0].shape[2] + self.length

    def update(
        self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append one token a row; returns keys and values of the completions alone.

        Args:
            key: `(B, H, 1, D)`.
            value: `(B, H, 1, D)`.
            layer_idx: The layer.
        """
        own = self.own[layer_idx]
        if own is None or own[0].shape[2] == self.length:
            own = self.own[layer_idx] = (self._grown(key, own, 0), self._grown(value, own, 1))
        last = self.length + 1
        own[0][:, :, self.length] = key[:, :, 0]
        own[1][:, :, self.length] = value[:, :, 0]
        if layer_idx == len(self.own) - 1:
            self.length = last
        return own[0][:, :, :last], own[1][:, :, :last]

    def keep(self, rows: Tensor) -> None:
        """Forget all completions but these, and the prompts that none of these needs.

        Args:
            rows: Ascending numbers of completions.
        """
        prompts, prompt_of = torch.unique_consecutive(self.prompt_of[rows], return_inverse=True)
        if len(prompts) < len(self.prompts[0][0]):
            self.prompts = [(keys[prompts], values[prompts]) for keys, values in self.prompts]
            self.bias = None if self.bias is None else self.bias[prompts]
        last = self.length
        for layer, own in enumerate(self.own):
            if own is not None:
                room = min(own[0].shape[2], last + _FIRST_ROOM)
                self.own[layer] = (own[0][rows, :, :room], own[1][rows, :, :room])
        self._seat(prompt_of)

    def _seat(self, prompt_of: Tensor) -> None:
        """Give each completion a seat in its group: groups are padded to the largest one."""
        self.prompt_of = prompt_of
        counts = torch.bincount(prompt_of, minlength=len(self.prompts[0][0]))
        first = counts.cumsum(0) - counts
        self.seat = torch.arange(len(prompt_of), device=prompt_of.device) - first[prompt_of]
        self.seats = int(counts.max())
        self.regular = bool((counts == self.seats).all())

    def gathered(self, rows: Tensor) -> Tensor:
        """`(B, ...)` by completion as `(N, S, ...)` by prompt and seat; 0 on empty seats."""
        count = len(self.prompts[0][0])
        if self.regular:
            return rows.view(count, self.seats, *rows.shape[1:])
        table = rows.new_zeros(count, self.seats, *rows.shape[1:])
        table[self.prompt_of, self.seat] = rows
        return table

    def scattered(self, table: Tensor) -> Tensor:
        """`(N, S, ...)` back as `(B, ...)`."""
        return table.flatten(0, 1) if self.regular else table[self.prompt_of, self.seat]

    def _grown(self, token: Tensor, own: tuple[Tensor, Tensor] | None, which: int) -> Tensor:
        batch, heads, _, width = token.shape
        room = _FIRST_ROOM if own is None else 2 * own[which].shape[2]
        grown = token.new_empty(batch, heads, room, width)
        if own is not None:
            grown[:, :, : self.length] = own[which]
        return grown


def sibling_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    siblings: SiblingCache,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token a row to its prompt and its own completion.

    Args:
        module: The layer.
        query: `(B, H, 1, D)`.
        key: `(B, K, C, D)` of the completions, from `SiblingCache.update`.
        value: As `key`.
        attention_mask: Not looked at: everything in the cache is visible.
        siblings: The cache.
        scaling: Of the scores.

    Returns:
        `(B, 1, H, D)`, and no weights.
    """
    batch, heads, _one, width = query.shape
    groups = key.shape[1]
    share = heads // groups
    scale = width**-0.5 if scaling is None else scaling
    prompt_key, prompt_value = siblings.prompts[module.layer_idx]
    count, prompt_length = prompt_key.shape[0], prompt_key.shape[2]
    query = query.view(batch, groups, share, width) * scale

    # One product a group: (N, K, S * share, D) with (N, K, D, P).
    seated = siblings.gathered(query).transpose(1, 2)
    flat = seated.reshape(count, groups, -1, width)
    on_prompt = (flat @ prompt_key.transpose(-1, -2)).float()
    on_prompt = on_prompt.view(count, groups, siblings.seats, share, prompt_length)
    if siblings.bias is not None:
        on_prompt = on_prompt + siblings.bias
    scores = torch.cat(
        [siblings.scattered(on_prompt.transpose(1, 2)), (query @ key.transpose(-1, -2)).float()], -1
    )
    weights = scores.softmax(-1).to(value.dtype)

    seated = siblings.gathered(weights[..., :prompt_length]).transpose(1, 2)
    seen = seated.reshape(count, groups, -1, prompt_length) @ prompt_value
    seen = seen.view(count, groups, siblings.seats, share, width).transpose(1, 2)
    output = siblings.scattered(seen) + weights[..., prompt_length:] @ value
    return output.reshape(batch, 1, heads, width), None


AttentionInterface.register(ATTENTION, sibling_attention)


def attends_as_siblings(base: Any) -> AbstractContextManager[None]:
    """Inside, the language model takes `siblings=` and attends by `sibling_attention`."""
    return attends_by(base, ATTENTION)
