"""Log-probabilities of all completions of a prompt, computed from packed rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maniplvm.models.parameters import base_model
from maniplvm.training.shared_prefix.groups import PromptGroups, group_prompts
from maniplvm.training.shared_prefix.image_deduplication import deduplicate_vision_tower
from maniplvm.training.shared_prefix.packing import (
    PackedRows,
    pack_rows,
    plan_blocks,
    plan_padded_rows,
    plan_single_rows,
)
from maniplvm.training.shared_prefix.prefix_attention import (
    build_attention_layout,
    use_prefix_attention,
)
from maniplvm.training.shared_prefix.processes import additional_passes
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.support import (
    can_recompute_attention,
    dropout_reason,
    mrope_module,
    spatial_merge_size,
    unsupported_reason,
)

LogprobHead = Callable[[Any, dict[str, Any], Tensor, bool], tuple[Tensor, Tensor | None]]
"""`(model, inputs, targets (T,), entropy) -> log-probabilities (T,), entropies (T,) or None`."""


@dataclass(frozen=True, eq=False)
class GroupScores:
    """Log-probabilities and entropies of completions, 0 on padding.

    Attributes:
        logprobs: `(B, C)` log-probability of each token given all tokens before it [nats].
        entropies: `(B, C)` entropy of the distribution of each token [nats], or None.
    """

    logprobs: Tensor
    entropies: Tensor | None


def group_logprobs(
    model: Any,
    prompts: Mapping[str, Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    *,
    prompt_index: Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
    settings: SharedPrefixSettings | None = None,
) -> GroupScores:
    """Differentiable log-probabilities of groups of completions. Each prompt is computed once.

    Values and gradients equal, up to floating-point rounding, those of a batch that repeats the
    prompt and its images for every completion.

    Args:
        model: A causal language or image-text-to-text model of transformers, with or without a
            peft wrapper.
        prompts: The processor's output for `N` prompts: `input_ids` and `attention_mask`
            `(N, P)`. With images also `pixel_values`, `image_grid_thw`, `mm_token_type_ids`.
        completion_ids: `(B, C)` token ids, padded on the right. The completions of a prompt are
            neighbours.
        completion_mask: `(B, C)` 1 on tokens. A row may be empty.
        prompt_index: `(B,)` index of the prompt of each completion, ascending. By default every
            prompt has `B / N` completions.
        temperature: Divisor of the logits.
        entropy: Whether to return entropies.
        settings: Token limits.

    Raises:
        ValueError: The model is not supported, or the completions do not match the prompts.
    """
    reason = unsupported_reason(model) or (dropout_reason(model) if model.training else None)
    if reason is not None:
        raise ValueError(f"shared prefix does not support this model: {reason}")
    merge_size = spatial_merge_size(base_model(model))
    groups = group_prompts(prompts, completion_ids, completion_mask, prompt_index, merge_size)
    return score_groups(
        model,
        base_model(model),
        groups,
        logits_head(temperature),
        entropy=entropy,
        settings=settings or SharedPrefixSettings(),
    )


def score_groups(
    model: Any,
    base: Any,
    groups: PromptGroups,
    head: LogprobHead,
    *,
    entropy: bool,
    settings: SharedPrefixSettings,
) -> GroupScores:
    """Compute log-probabilities of groups.

    With gradients there is always one forward pass: its activations are stored anyway, and some
    wrappers count forward passes. Without gradients, all processes run the same number of passes
    if weights are sharded.

    Args:
        model: The model to call: the base model or a wrapper of it.
        base: The transformers model without wrapper.
        groups: Prompts and completions.
        head: Computes log-probabilities from the hidden states that predict completion tokens.
        entropy: Whether to return entropies.
        settings: Token limits.
    """
    maskless = supports_prefix_attention(base)
    all_tokens = groups.prompt_mask.numel() + groups.completion_mask.numel()
    blocks = plan_blocks(
        groups.prompt_lengths.tolist(),
        groups.completion_lengths.tolist(),
        groups.prompt_index.tolist(),
        all_tokens if maskless else settings.max_row_tokens,
    )
    unlimited = all_tokens * len(blocks)
    limit = unlimited if torch.is_grad_enabled() else settings.max_batch_tokens
    passes = plan_single_rows(blocks, limit) if maskless else plan_padded_rows(blocks, limit)
    if not torch.is_grad_enabled():
        passes += passes[-1:] * additional_passes(model, len(passes))
    positions = prompt_positions(base, groups)
    count, width = groups.completion_ids.shape
    logprobs: list[Tensor] = []
    entropies: list[Tensor] = []
    indices: list[Tensor] = []
    for rows in passes:
        packed = pack_rows(groups, rows, positions, _pad_id(base))
        row_logprobs, row_entropies = _score_rows(
            model, base, groups, packed, head, entropy, maskless
        )
        logprobs.append(row_logprobs)
        indices.append(packed.target_indices)
        if row_entropies is not None:
            entropies.append(row_entropies)
    all_indices = torch.cat(indices)

    def unpack(parts: list[Tensor]) -> Tensor:
        values = torch.cat(parts)
        return values.new_zeros(count * width).index_put((all_indices,), values).view(count, width)

    return GroupScores(unpack(logprobs), unpack(entropies) if entropy else None)


def prompt_positions(base: Any, groups: PromptGroups) -> Tensor:
    """Position ids of the prompts: `(3, N, P)` for M-RoPE, else `(N, P)`."""
    rope = mrope_module(base)
    if rope is None or groups.image_grid_thw is None:
        return (groups.prompt_mask.long().cumsum(1) - 1).clamp(min=0)
    positions, _ = rope.get_rope_index(
        groups.prompt_ids,
        mm_token_type_ids=groups.token_type_ids,
        image_grid_thw=groups.image_grid_thw,
        attention_mask=groups.prompt_mask.long(),
    )
    return positions


def logits_head(temperature: float) -> LogprobHead:
    """A head that computes log-probabilities from the logits of the model's forward pass."""

    def head(
        model: Any, inputs: dict[str, Any], targets: Tensor, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        logits = model(**inputs, use_cache=False).logits[0].float() / temperature
        logprobs = logits.log_softmax(-1)
        entropies = -(logprobs.exp() * logprobs).sum(-1).detach() if entropy else None
        return logprobs.gather(-1, targets[:, None])[:, 0], entropies

    return head


def supports_prefix_attention(base: Any) -> bool:
    """Whether this forward pass can use `prefix_attention` instead of a mask."""
    attention = base.config.get_text_config()._attn_implementation
    recomputable = not torch.is_grad_enabled() or can_recompute_attention(base)
    return attention == "sdpa" and recomputable


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Attention bias of a boolean mask: 0 where True, else the lowest number of the dtype.

    With a boolean mask every layer would convert it, and store the result for the backward pass.
    """
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return bias.masked_fill_(~mask, torch.finfo(dtype).min)


@contextmanager
def select_predictors(base: Any, indices: Tensor) -> Iterator[None]:
    """Context in which the backbone returns only some hidden states, as `(1, T, H)`.

    Args:
        base: A transformers model without wrapper.
        indices: `(T,)` flat indices of the tokens that predict a completion token.
    """

    def select(_: Any, args: Any, output: Any) -> Any:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden.flatten(0, 1)[indices][None]
        return output

    handle = base.base_model.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _score_rows(
    model: Any,
    base: Any,
    groups: PromptGroups,
    packed: PackedRows,
    head: LogprobHead,
    entropy: bool,
    maskless: bool,
) -> tuple[Tensor, Tensor | None]:
    inputs: dict[str, Any] = {"input_ids": packed.input_ids, "position_ids": packed.position_ids}
    attention: Any = nullcontext()
    dtype = _attention_dtype(base, packed.input_ids.device)
    if maskless and len(packed.target_ids):
        attention = use_prefix_attention(base)
        inputs["prefix_layout"] = build_attention_layout(packed, dtype)
        inputs["attention_mask"] = torch.ones(
            1, 1, 1, 1, dtype=torch.bool, device=packed.block_ids.device
        )
    else:
        inputs["attention_mask"] = additive_mask(packed.attention_mask(), dtype)
    pixels, grid = groups.pixel_values, groups.image_grid_thw
    if packed.image_indices is not None and pixels is not None and grid is not None:
        patches = pixels.split(grid.prod(-1).tolist())
        images = [patches[index] for index in packed.image_indices.tolist()]
        inputs["pixel_values"] = torch.cat(images)
        inputs["image_grid_thw"] = grid[packed.image_indices]
        inputs["mm_token_type_ids"] = packed.token_type_ids
    predictors = select_predictors(base, packed.predictor_indices)
    with attention, predictors, deduplicate_vision_tower(base):
        return head(model, inputs, packed.target_ids, entropy)


def _attention_dtype(base: Any, device: torch.device) -> torch.dtype:
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return base.dtype


def _pad_id(base: Any) -> int:
    pad = base.config.get_text_config().pad_token_id
    return 0 if pad is None else pad
