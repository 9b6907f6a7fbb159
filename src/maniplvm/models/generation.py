"""Generate completions, greedy or sampled; a completion does not depend on its batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.models.generation_config import end_tokens, only_settings_of
from maniplvm.models.interface import LoadedModel
from maniplvm.models.untrusted import library_errors
from maniplvm.optional import torch, transformers

Seed = tuple[int, ...]
"""Integers, none negative, that seed the random numbers of one completion."""


@dataclass(frozen=True)
class Decoding:
    """Decoding settings of a completion.

    They replace those of the checkpoint's `generation_config.json`. So two models are always
    compared under the same decoding settings.

    Attributes:
        temperature: Divisor of the logits; 0 takes the most likely token each time (greedy).
        top_p: Probability mass of the most likely tokens from which a token is sampled.
        max_new_tokens: Largest number of tokens of a completion.

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
class Completion:
    """A generated completion.

    Attributes:
        text: Completion without the prompt and without special tokens.
        tokens: Number of generated tokens, the end token included.
    """

    text: str
    tokens: int


def generate(
    loaded: LoadedModel, inputs: Any, decoding: Decoding, seeds: Sequence[Seed] = ()
) -> list[Completion]:
    """Generate one completion for each row of a batch.

    The random numbers of a sampled completion depend on its seed alone. So the same seed, prompt
    and weights give the same completion in any batch, up to floating-point rounding: sums over
    padded rows round differently, which can change a token at the edge of its probability.

    Args:
        loaded: The model.
        inputs: Output of `encode_batch`, `B` rows.
        decoding: Decoding settings, greedy or sampled.
        seeds: `B` seeds for sampled completions; greedy ones need none.

    Returns:
        `B` completions.

    Raises:
        ValueError: sampled completions without a seed for each row.
    """
    rows, prompt_length = inputs["input_ids"].shape
    processors = transformers().LogitsProcessorList()
    if decoding.temperature > 0:
        if len(seeds) != rows:
            raise ValueError(f"{rows} sampled completions need as many seeds, got {len(seeds)}")
        processors.append(_sampler(decoding, seeds, prompt_length))
    ends = _end_tokens(loaded)
    config = _generation_config(loaded, decoding, ends)
    finite = _FiniteLogits()
    processors.insert(0, finite)
    with (
        library_errors(loaded.source, "the model cannot generate"),
        torch().inference_mode(),
        only_settings_of(config, loaded.model),
    ):
        tokens = loaded.model.generate(
            **inputs, generation_config=config, logits_processor=processors
        )
    if not finite.all_finite():
        raise UserError(
            f"{loaded.source}: its logits are not finite; the weights or config.json are damaged, or "
            "the precision is too low"
        )
    generated = [_until_end(row, ends) for row in tokens[:, prompt_length:].tolist()]
    texts = loaded.tokenizer.batch_decode(generated, skip_special_tokens=True)
    return [Completion(text, len(row)) for text, row in zip(texts, generated, strict=True)]


def _generation_config(loaded: LoadedModel, decoding: Decoding, ends: set[int]) -> Any:
    return transformers().GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        do_sample=False,  # a sampled token is chosen by our own logits processor
        num_beams=1,
        use_cache=True,
        bos_token_id=loaded.tokenizer.bos_token_id,
        eos_token_id=sorted(ends) or None,
        pad_token_id=loaded.tokenizer.pad_token_id,
    )


class _FiniteLogits:
    """A logits processor that changes nothing and remembers whether all logits were finite."""

    def __init__(self) -> None:
        self._finite: Any = None

    def __call__(self, tokens: Any, logits: Any) -> Any:
        # NaN stays NaN in a sum; a mask of our own adds -inf only later
        finite = logits.sum().isfinite()
        self._finite = finite if self._finite is None else self._finite & finite
        return logits

    def all_finite(self) -> bool:
        return self._finite is None or bool(self._finite)


def _end_tokens(loaded: LoadedModel) -> set[int]:
    """End tokens of the tokenizer and of the checkpoint, such as the end of a turn."""
    own = loaded.tokenizer.eos_token_id
    return {*end_tokens(loaded.model), *([] if own is None else [own])}


def _until_end(tokens: list[int], ends: set[int]) -> list[int]:
    first = next((i for i, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: first + 1]


def _sampler(decoding: Decoding, seeds: Sequence[Seed], prompt_length: int) -> Any:
    """A logits processor that leaves one token: the one that the row's random number selects.

    The numbers are drawn in advance, one for each token, from a generator of the row's own. So
    they do not depend on the other rows, as those of PyTorch's own sampling would.
    """
    library = torch()
    numbers = np.stack([np.random.default_rng(s).random(decoding.max_new_tokens) for s in seeds])
    uniform = library.from_numpy(numbers)

    def select(tokens: Any, logits: Any) -> Any:
        step = tokens.shape[1] - prompt_length
        ranked, order = (logits.double() / decoding.temperature).sort(dim=-1, descending=True)
        cumulative = ranked.softmax(dim=-1).cumsum(dim=-1)
        last = logits.shape[-1] - 1
        nucleus = library.full_like(cumulative[:, :1], decoding.top_p)
        mass = cumulative.gather(1, library.searchsorted(cumulative, nucleus).clamp(max=last))
        drawn = uniform[:, step : step + 1].to(logits.device) * mass
        chosen = order.gather(1, library.searchsorted(cumulative, drawn).clamp(max=last))
        return library.full_like(logits, float("-inf")).scatter(1, chosen, 0.0)

    return select
