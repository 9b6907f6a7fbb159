"""Replies of a model: greedy, or sampled so that a reply does not depend on its batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.models.loading import LoadedModel
from maniplvm.optional import torch, transformers

Key = tuple[int, ...]
"""Whole numbers, none negative, that seed one reply."""


@dataclass(frozen=True)
class Decoding:
    """How a reply is drawn from a model's probabilities.

    The model's own `generation_config.json` decides nothing but its end tokens: two models are
    compared under the same decoding.

    Attributes:
        temperature: 0 takes the likeliest token each time (greedy); else logits are divided by it.
        top_p: Only the likeliest tokens that together have this probability are drawn from.
        max_new_tokens: Where a reply that does not end is cut.

    Raises:
        UserError: a value outside its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p must lie above 0 and at most at 1, got {self.top_p}")
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


@dataclass(frozen=True)
class Reply:
    """What a model wrote.

    Attributes:
        text: Without prompt and special tokens.
        tokens: How many it wrote, its end token included.
    """

    text: str
    tokens: int


def generate_replies(
    loaded: LoadedModel, inputs: Any, decoding: Decoding, keys: Sequence[Key] = ()
) -> list[Reply]:
    """Let the model reply.

    A sampled reply uses random numbers that its key alone decides. So the same key, prompt and
    weights give the same reply in any batch, but for the rounding of sums over padded rows, which
    can tip a token whose probability ends just where the random number falls.

    Args:
        loaded: The model.
        inputs: From `encode_batch`, `B` rows.
        decoding: Greedy or sampled.
        keys: `B` keys for sampled replies; greedy ones need none.

    Returns:
        `B` replies.

    Raises:
        ValueError: sampled replies without a key for each row.
    """
    rows, prompt_length = inputs["input_ids"].shape
    processors = transformers().LogitsProcessorList()
    if decoding.temperature > 0:
        if len(keys) != rows:
            raise ValueError(f"{rows} sampled replies need as many keys, got {len(keys)}")
        processors.append(_choose(decoding, keys, prompt_length))
    with torch().inference_mode():
        tokens = loaded.model.generate(
            **inputs,
            generation_config=_configuration(loaded, decoding),
            logits_processor=processors,
        )
    written = tokens[:, prompt_length:].tolist()
    ends = _end_tokens(loaded)
    kept = [_until_end(row, ends) for row in written]
    texts = loaded.tokenizer.batch_decode(kept, skip_special_tokens=True)
    return [Reply(text, len(row)) for text, row in zip(texts, kept, strict=True)]


def _configuration(loaded: LoadedModel, decoding: Decoding) -> Any:
    """Every setting that a checkpoint may bring along is stated, so that none of its own applies."""
    return transformers().GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=sorted(_end_tokens(loaded)),
        pad_token_id=loaded.tokenizer.pad_token_id,
    )


def _end_tokens(loaded: LoadedModel) -> set[int]:
    ends = loaded.model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return {token for token in (*listed, loaded.tokenizer.eos_token_id) if token is not None}


def _until_end(tokens: list[int], ends: set[int]) -> list[int]:
    first = next((i for i, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: first + 1]


def _choose(decoding: Decoding, keys: Sequence[Key], prompt_length: int) -> Any:
    """A logits processor that leaves one token: the one where the row's random number falls.

    The numbers are drawn beforehand, one a token, from a generator of the row's own: so
    they do not depend on the other rows, as those of PyTorch's own sampling would.
    """
    library = torch()
    numbers = np.stack([np.random.default_rng(k).random(decoding.max_new_tokens) for k in keys])
    uniform = library.from_numpy(numbers)

    def choose(tokens: Any, logits: Any) -> Any:
        step = tokens.shape[1] - prompt_length
        ranked, order = (logits.double() / decoding.temperature).sort(dim=-1, descending=True)
        reached = ranked.softmax(dim=-1).cumsum(dim=-1)
        last = logits.shape[-1] - 1
        nucleus = library.full_like(reached[:, :1], decoding.top_p)
        mass = reached.gather(1, library.searchsorted(reached, nucleus).clamp(max=last))
        drawn = uniform[:, step : step + 1].to(logits.device) * mass
        chosen = order.gather(1, library.searchsorted(reached, drawn).clamp(max=last))
        return library.full_like(logits, float("-inf")).scatter(1, chosen, 0.0)

    return choose
