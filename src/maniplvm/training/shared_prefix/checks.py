"""The two comparisons that a trainer makes before it trusts what is shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from maniplvm.training.shared_prefix.plain_batch import Images, PlainBatch
from maniplvm.training.shared_prefix.policy import plain_head, score_groups
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.verification import (
    Agreement,
    compare,
    sample_gradient,
    sample_parameters,
)

Score = Callable[[Any, PlainBatch], Tensor]
"""`(model, batch) -> log-probabilities (B, C)`."""


def check_policy(
    model: Any,
    batch: PlainBatch,
    gradients: bool,
    plain: Score,
    shared: Score,
    dtype: torch.dtype,
) -> Agreement:
    """Log-probabilities, and a sample of gradients, computed both ways.

    Args:
        model: The policy or the reference.
        batch: A few rows.
        gradients: Whether gradients can be compared.
        plain: The pass that is trusted.
        shared: The pass that is to be trusted.
        dtype: In which they compute.
    """
    with torch.set_grad_enabled(gradients):
        first, second = plain(model, batch), shared(model, batch)
    samples = None
    if gradients:
        parameters = sample_parameters(model)
        samples = (sample_gradient(first, parameters), sample_gradient(second, parameters))
    mask = batch.attention_mask[:, -batch.width :].bool()
    return compare(first[mask], second[mask], samples, dtype)


def check_rollout(
    base: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    recorded: Sequence[Sequence[float]],
    images: Images | None,
    token_types: Sequence[Sequence[int]] | None,
    dtype: torch.dtype,
) -> Agreement:
    """Log-probabilities that sampling saw, against those of the policy pass.

    Args:
        base: The model of transformers without wrapper.
        prompt_ids: Of a few rows.
        completion_ids: What was sampled.
        recorded: From `sample_siblings`.
        images: Of the rows.
        token_types: Of the rows.
        dtype: In which the model computes.
    """

    def padded(rows: Sequence[Sequence[Any]], side: str, fill: float = 0) -> Tensor:
        tensors = [torch.tensor(row, device=base.device) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_side=side, padding_value=fill)

    prompts, answers = padded(prompt_ids, "left"), padded(completion_ids, "right")
    mask = padded([[1] * len(row) for row in prompt_ids], "left")
    answer_mask = padded([[1] * len(row) for row in completion_ids], "right")
    types = None
    if token_types is not None:
        types = torch.cat([padded(token_types, "left"), torch.zeros_like(answers)], dim=1)
    batch = PlainBatch(
        torch.cat([prompts, answers], dim=1),
        torch.cat([mask, answer_mask], dim=1),
        answers.shape[1],
        types,
        images,
    )
    with torch.no_grad():
        scores = score_groups(
            base,
            base,
            batch.groups(),
            plain_head(1.0),
            entropy=False,
            settings=SharedPrefixSettings(),
        ).logprobs
    sampled = padded(
        [row[: len(ids)] for row, ids in zip(recorded, completion_ids, strict=True)], "right"
    )
    return compare(scores[answer_mask.bool()], sampled[answer_mask.bool()], None, dtype)
