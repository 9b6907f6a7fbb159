"""Log-probabilities of all completions of a prompt from one packed row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maniplvm.models.parameters import base_model
from maniplvm.training.shared_prefix.branches import attends_in_branches, branches_of
from maniplvm.training.shared_prefix.groups import PromptGroups, group_prompts
from maniplvm.training.shared_prefix.packing import PackedRows, pack_rows
from maniplvm.training.shared_prefix.planning import plan_blocks, plan_long_rows, plan_rows
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.support import merge_size_of, obstacle, rope_of
from maniplvm.training.shared_prefix.towers import each_image_once

Head = Callable[[Any, dict[str, Any], Tensor, bool], tuple[Tensor, Tensor | None]]
"""`(model, inputs, targets (T,), entropy) -> log-probabilities (T,), entropies (T,) or None`."""


@dataclass(frozen=True, eq=False)
class GroupScores:
    """What a policy makes of completions; 0 where a completion has no token.

    Attributes:
        logprobs: `(B, C)` [nats] of each token, given all before it.
        entropies: `(B, C)` [nats] of the distributions they were drawn from, or None.
    """

    logprobs: Tensor
    entropies: Tensor | None


def group_logprobs(
    model: Any,
    prompts: Mapping[str, Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    *,
    prompt_of: Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
    settings: SharedPrefixSettings | None = None,
) -> GroupScores:
    """Log-probabilities of groups of completions, each prompt computed once; differentiable.

    They equal those of a plain batch that repeats prompt and images for every completion.

    Args:
        model: A causal language or image-text-to-text model of transformers, peft's wrapper or not.
        prompts: The processor's tensors of `N` prompts: `input_ids` and `attention_mask`
            `(N, P)`; with images also `pixel_values`, `image_grid_thw`, `mm_token_type_ids`.
        completion_ids: `(B, C)`, padded on the right; siblings stand side by side.
        completion_mask: `(B, C)` 1 on tokens; a row may be empty.
        prompt_of: `(B,)` ascending number of each completion's prompt; by default every prompt
            has `B / N` completions.
        temperature: The logits are divided by it.
        entropy: Whether entropies are wanted too.
        settings: The budgets.

    Raises:
        ValueError: a model that cannot share a prefix, or completions that do not fit the prompts.
    """
    reason = obstacle(model)
    if reason is not None:
        raise ValueError(f"no shared prefix: {reason}")
    merge = merge_size_of(base_model(model))
    groups = group_prompts(prompts, completion_ids, completion_mask, prompt_of, merge)
    return score_groups(
        model,
        base_model(model),
        groups,
        plain_head(temperature),
        entropy=entropy,
        settings=settings or SharedPrefixSettings(),
    )


def score_groups(
    model: Any,
    base: Any,
    groups: PromptGroups,
    head: Head,
    *,
    entropy: bool,
    settings: SharedPrefixSettings,
) -> GroupScores:
    """The policy pass on groups.

    Args:
        model: What is called: the base model, or whatever wraps it.
        base: The model of transformers inside.
        groups: Prompts and completions.
        head: Turns the hidden states that matter into log-probabilities.
        entropy: Whether entropies are wanted.
        settings: The budgets. With gradients everything is one forward pass, as its activations
            are kept anyway, and a wrapper may count forward passes.
    """
    branching = takes_branches(base)
    everything = groups.prompt_mask.numel() + groups.completion_mask.numel()
    blocks = plan_blocks(
        groups.prompt_lengths.tolist(),
        groups.completion_lengths.tolist(),
        groups.prompt_of.tolist(),
        everything if branching else settings.max_row_tokens,
    )
    unlimited = everything * len(blocks)
    budget = unlimited if torch.is_grad_enabled() else settings.max_batch_tokens
    passes = plan_long_rows(blocks, budget) if branching else plan_rows(blocks, budget)
    positions = prompt_positions(base, groups)
    count, width = groups.completion_ids.shape
    logprobs: list[Tensor] = []
    entropies: list[Tensor] = []
    destinations: list[Tensor] = []
    for rows in passes:
        packed = pack_rows(groups, rows, positions, _pad_id(base))
        scores, spread = _score_rows(model, base, groups, packed, head, entropy, branching)
        logprobs.append(scores)
        destinations.append(packed.destinations)
        if spread is not None:
            entropies.append(spread)
    where = torch.cat(destinations)

    def placed(parts: list[Tensor]) -> Tensor:
        values = torch.cat(parts)
        return values.new_zeros(count * width).index_put((where,), values).view(count, width)

    return GroupScores(placed(logprobs), placed(entropies) if entropy else None)


def prompt_positions(base: Any, groups: PromptGroups) -> Tensor:
    """Positions of the prompts' tokens: `(3, N, P)` for M-RoPE, else `(N, P)`."""
    rope = rope_of(base)
    if rope is None or groups.image_grid_thw is None:
        return (groups.prompt_mask.long().cumsum(1) - 1).clamp(min=0)
    positions, _ = rope.get_rope_index(
        groups.prompt_ids,
        mm_token_type_ids=groups.token_types,
        image_grid_thw=groups.image_grid_thw,
        attention_mask=groups.prompt_mask.long(),
    )
    return positions


def plain_head(temperature: float) -> Head:
    """Log-probabilities from the logits of the model's own forward pass."""

    def head(
        model: Any, inputs: dict[str, Any], targets: Tensor, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        logits = model(**inputs, use_cache=False).logits[0].float() / temperature
        table = logits.log_softmax(-1)
        spread = -(table.exp() * table).sum(-1).detach() if entropy else None
        return table.gather(-1, targets[:, None])[:, 0], spread

    return head


def _score_rows(
    model: Any,
    base: Any,
    groups: PromptGroups,
    packed: PackedRows,
    head: Head,
    entropy: bool,
    branching: bool,
) -> tuple[Tensor, Tensor | None]:
    inputs: dict[str, Any] = {"input_ids": packed.input_ids, "position_ids": packed.positions}
    attends: Any = nullcontext()
    dtype = _attention_dtype(base, packed.input_ids.device)
    if branching and len(packed.targets):
        attends = attends_in_branches(base)
        inputs["branches"] = branches_of(packed, dtype)
        inputs["attention_mask"] = torch.ones(
            1, 1, 1, 1, dtype=torch.bool, device=packed.block.device
        )
    else:
        inputs["attention_mask"] = additive(packed.allowed(), dtype)
    pixels, grid = groups.pixel_values, groups.image_grid_thw
    if packed.images is not None and pixels is not None and grid is not None:
        patches = pixels.split(grid.prod(-1).tolist())
        inputs["pixel_values"] = torch.cat([patches[number] for number in packed.images.tolist()])
        inputs["image_grid_thw"] = grid[packed.images]
        inputs["mm_token_type_ids"] = packed.token_types
    with attends, keep_predictors(base, packed.predictors), each_image_once(base):
        return head(model, inputs, packed.targets, entropy)


def takes_branches(base: Any) -> bool:
    """Whether attention may be swapped for the pass.

    Checkpointed layers run again during the backward pass, when the swap is long over.
    """
    checkpoints = torch.is_grad_enabled() and any(
        getattr(module, "gradient_checkpointing", False) for module in base.modules()
    )
    return base.config.get_text_config()._attn_implementation == "sdpa" and not checkpoints


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores: 0 where a token may look, else the lowest number.

    A mask of booleans would be turned into numbers by every layer, and kept by each of them.
    """
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)


def _attention_dtype(base: Any, device: torch.device) -> torch.dtype:
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return base.dtype


@contextmanager
def keep_predictors(base: Any, predictors: Tensor) -> Iterator[None]:
    """Inside, the head of a model sees only the tokens that predict something: `(1, T, H)`."""

    def select(_: Any, args: Any, output: Any) -> Any:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden.flatten(0, 1)[predictors][None]
        return output

    handle = base.base_model.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _pad_id(base: Any) -> int:
    pad = base.config.get_text_config().pad_token_id
    return 0 if pad is None else pad
