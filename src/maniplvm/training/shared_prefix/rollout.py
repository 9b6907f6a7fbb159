"""Sampling: each prompt is read once, its keys and values serve all completions that start there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.siblings import SiblingCache, attends_as_siblings
from maniplvm.training.shared_prefix.support import rope_of
from maniplvm.training.shared_prefix.towers import each_image_once

COMPACTION = 0.75
"""Finished completions leave the batch when at most this share of its rows is still growing."""

READ = (
    "attention_mask",
    "position_ids",
    "past_key_values",
    "pixel_values",
    "image_grid_thw",
    "mm_token_type_ids",
    "mm_encoder_outputs",
)
"""What the prompts' pass takes of what `generate` prepares."""


def rollout_obstacle(config: Any) -> str | None:
    """Why completions are left to `generate`, as the end of a sentence; None if they need not.

    Args:
        config: The `GenerationConfig`.
    """
    if config.num_beams not in (None, 1) or config.num_return_sequences not in (None, 1):
        return "beams and several returned sequences are its own"
    if config.cache_implementation not in (None, "dynamic"):
        return f"a {config.cache_implementation} cache is its own"
    if config.repetition_penalty not in (None, 1.0):
        return "a repetition penalty looks at each row's prompt"
    if config.guidance_scale not in (None, 1, 1.0) or config.prompt_lookup_num_tokens is not None:
        return "guidance and look-up decoding are its own"
    return None


@contextmanager
def shared_prefill(
    base: Any, prompt_of: Tensor, record: dict[int, list[float]] | None = None
) -> Iterator[None]:
    """Inside, `base.generate` takes `N` prompts and returns `B` completions.

    Args:
        base: A model of transformers without wrapper.
        prompt_of: `(B,)` the prompt of each completion.
        record: See `sample_siblings`.
    """
    decode = partial(sample_siblings, prompt_of=prompt_of, record=record)
    base.generate = partial(type(base).generate, base, custom_generate=decode)
    try:
        with each_image_once(base):
            yield
    finally:
        del base.generate


def sample_siblings(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    prompt_of: Tensor,
    record: dict[int, list[float]] | None = None,
    **model_kwargs: Any,
) -> Tensor:
    """A decoding method for `generate(custom_generate=...)`, which prepares its arguments.

    Args:
        model: The model.
        input_ids: `(N, P)` prompts, padded on the left.
        logits_processor: Temperature, top-k and the like; what they do to a row depends on it alone.
        stopping_criteria: End tokens and greatest length.
        generation_config: The settings.
        prompt_of: `(B,)` the prompt of each completion.
        record: Receives for each completion the log-probabilities [nats] of its tokens at
            temperature 1, before any of them was made impossible.
        model_kwargs: Mask, positions, images and the empty cache.

    Returns:
        `(B, P + C)`; after its end token a completion goes on in padding.
    """
    prompt_of = prompt_of.to(input_ids.device)
    mask = model_kwargs["attention_mask"]
    mask = torch.ones_like(input_ids) if mask is None else mask
    axes = 3 if rope_of(model) else 1
    positions = model_kwargs["position_ids"]
    positions = positions[-axes:] if positions.dim() == 3 else positions[None]
    following = positions.masked_fill(mask == 0, -1).amax((0, 2))[prompt_of] + 1
    read = {name: model_kwargs[name] for name in READ if model_kwargs.get(name) is not None}
    output = model(input_ids=input_ids, use_cache=True, logits_to_keep=1, **read)
    logits, cache = output.logits[:, -1], output.past_key_values
    siblings = SiblingCache(cache, mask, prompt_of)
    logits = logits[prompt_of]

    ids = input_ids[prompt_of]
    width = ids.shape[1]
    finished: list[tuple[Tensor, Tensor]] = []
    rows = torch.arange(len(ids), device=ids.device)
    alive = torch.ones_like(rows, dtype=torch.bool)
    seen = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device)
    pad = int(generation_config._pad_token_tensor)
    while True:
        scores = logits_processor(ids, logits.to(copy=True, dtype=torch.float32))
        if generation_config.do_sample:
            token = torch.multinomial(scores.softmax(-1), num_samples=1)
        else:
            token = scores.argmax(-1, keepdim=True)
        if record is not None:
            chosen = logits.float().log_softmax(-1).gather(-1, token)[:, 0].tolist()
            for row, value, grows in zip(rows.tolist(), chosen, alive.tolist(), strict=True):
                if grows:
                    record.setdefault(row, []).append(value)
        ids = torch.cat([ids, torch.where(alive[:, None], token, pad)], dim=1)
        alive = alive & ~stopping_criteria(ids, scores)
        growing = int(alive.sum())
        if growing <= COMPACTION * len(rows):
            finished.append((rows[~alive], ids[~alive]))
            if growing == 0:
                break
            rows, ids, following = rows[alive], ids[alive], following[alive]
            siblings.keep(alive.nonzero()[:, 0])
            alive = alive[alive]
        place = following[:, None] + (ids.shape[1] - width - 1)
        with attends_as_siblings(model):
            logits = model(
                input_ids=ids[:, -1:],
                attention_mask=seen,
                position_ids=place if axes == 1 else place[None].expand(axes, -1, -1),
                past_key_values=siblings,
                siblings=siblings,
                use_cache=True,
            ).logits[:, -1]
    whole = max(part.shape[1] for _, part in finished)
    output = ids.new_full((len(prompt_of), whole), pad)
    for numbers, part in finished:
        output[numbers, : part.shape[1]] = part
    return output
