"""Sampling of completions with one prefill per prompt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.image_deduplication import deduplicate_vision_tower
from maniplvm.training.shared_prefix.prefix_kv_cache import (
    PrefixKVCache,
    use_cached_prefix_attention,
)
from maniplvm.training.shared_prefix.processes import any_process, has_sharded_weights
from maniplvm.training.shared_prefix.support import mrope_module

COMPACTION_THRESHOLD = 0.75
"""Finished completions are removed when at most this fraction of the rows is unfinished."""

_PREFILL_ARGUMENTS = (
    "attention_mask",
    "position_ids",
    "past_key_values",
    "pixel_values",
    "image_grid_thw",
    "mm_token_type_ids",
    "mm_encoder_outputs",
)


@contextmanager
def shared_prefill(
    base: Any, prompt_index: Tensor, logprobs: dict[int, list[float]] | None = None
) -> Iterator[None]:
    """Context in which `base.generate` takes `N` prompts and returns `B` completions.

    Args:
        base: A transformers model without wrapper.
        prompt_index: `(B,)` index of the prompt of each completion.
        logprobs: Filled as by `sample_groups`.
    """
    decode = partial(sample_groups, prompt_index=prompt_index, logprobs=logprobs)
    replaced = vars(base).get("generate")  # with FSDP2, transformers replaces the method too
    base.generate = partial(base.generate, custom_generate=decode)
    try:
        with deduplicate_vision_tower(base):
            yield
    finally:
        if replaced is None:
            del base.generate
        else:
            base.generate = replaced


def sample_groups(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    prompt_index: Tensor,
    logprobs: dict[int, list[float]] | None = None,
    **model_kwargs: Any,
) -> Tensor:
    """Decoding method for `generate(custom_generate=...)`, which prepares the arguments.

    With sharded weights, a process whose completions have ended runs the model on one token until
    the completions of all processes have ended.

    Args:
        model: The model.
        input_ids: `(N, P)` prompts, padded on the left.
        logits_processor: Temperature, top-k and similar processors. A processor must treat each
            row independently of the others.
        stopping_criteria: End tokens and the length limit.
        generation_config: The generation settings.
        prompt_index: `(B,)` index of the prompt of each completion, ascending.
        logprobs: If given, filled with the log-probabilities [nats] of the tokens of each
            completion, at temperature 1 and before any logits processor.
        model_kwargs: Mask, position ids, images and an empty cache.

    Returns:
        `(B, P + C)` token ids, with padding after the end token of a completion.
    """
    prompt_index = prompt_index.to(input_ids.device)
    mask = model_kwargs["attention_mask"]
    mask = torch.ones_like(input_ids) if mask is None else mask
    axes = 3 if mrope_module(model) else 1
    positions = model_kwargs["position_ids"]
    positions = positions[-axes:] if positions.dim() == 3 else positions[None]
    next_position = positions.masked_fill(mask == 0, -1).amax((0, 2))[prompt_index] + 1
    prefill = {
        name: model_kwargs[name]
        for name in _PREFILL_ARGUMENTS
        if model_kwargs.get(name) is not None
    }
    output = model(input_ids=input_ids, use_cache=True, logits_to_keep=1, **prefill)
    cache = PrefixKVCache(output.past_key_values, mask, prompt_index)
    logits = output.logits[:, -1][prompt_index]

    ids = input_ids[prompt_index]
    prompt_width = ids.shape[1]
    finished: list[tuple[Tensor, Tensor]] = []
    rows = torch.arange(len(ids), device=ids.device)
    unfinished = torch.ones_like(rows, dtype=torch.bool)
    full_mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device)
    pad = int(generation_config._pad_token_tensor)
    sharded = has_sharded_weights(model)
    while True:
        scores = logits_processor(ids, logits.to(copy=True, dtype=torch.float32))
        if generation_config.do_sample:
            token = torch.multinomial(scores.softmax(-1), num_samples=1)
        else:
            token = scores.argmax(-1, keepdim=True)
        if logprobs is not None:
            chosen = logits.float().log_softmax(-1).gather(-1, token)[:, 0].tolist()
            for row, value, active in zip(rows.tolist(), chosen, unfinished.tolist(), strict=True):
                if active:
                    logprobs.setdefault(row, []).append(value)
        ids = torch.cat([ids, torch.where(unfinished[:, None], token, pad)], dim=1)
        unfinished = unfinished & ~stopping_criteria(ids, scores)
        remaining = int(unfinished.sum())
        if remaining <= COMPACTION_THRESHOLD * len(rows):
            finished.append((rows[~unfinished], ids[~unfinished]))
            if remaining == 0:
                break
            cache.batch_select_indices(unfinished.nonzero()[:, 0])
            rows, ids = rows[unfinished], ids[unfinished]
            next_position = next_position[unfinished]
            unfinished = unfinished[unfinished]
        position = next_position[:, None] + (ids.shape[1] - prompt_width - 1)
        if sharded:
            any_process(True, ids.device)
        with use_cached_prefix_attention(model):
            logits = model(
                input_ids=ids[:, -1:],
                attention_mask=full_mask,
                position_ids=position if axes == 1 else position[None].expand(axes, -1, -1),
                past_key_values=cache,
                prefix_cache=cache,
                use_cache=True,
            ).logits[:, -1]
    one_token = ids.new_full((1, 1), pad)
    while sharded and any_process(False, ids.device):
        zero = torch.zeros_like(one_token if axes == 1 else one_token[None].expand(axes, -1, -1))
        model(input_ids=one_token, position_ids=zero, use_cache=False)
    width = max(part.shape[1] for _, part in finished)
    output_ids = ids.new_full((len(prompt_index), width), pad)
    for indices, part in finished:
        output_ids[indices, : part.shape[1]] = part
    return output_ids
