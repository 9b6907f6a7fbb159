"""Comparison of the shared computation with the computation that repeats every prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from maniplvm.training.shared_prefix.groups import BatchImages, PlainBatch
from maniplvm.training.shared_prefix.policy import logits_head, score_groups
from maniplvm.training.shared_prefix.processes import maxima
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings

GRADIENT_FACTOR = 10.0
"""Limit of the relative gradient difference, as a multiple of the log-probability tolerance."""
HALF_LOGPROB_TOLERANCE = 0.05
"""Limit of the mean difference [nats] in half precision. A wrong attention mask exceeds it."""
HALF_GRADIENT_TOLERANCE = 0.25
"""Limit of the relative gradient difference in half precision."""
_LARGEST_PARAMETER = 4_000_000
_PARAMETERS = 8

LogprobFunction = Callable[[Any, PlainBatch], Tensor]
"""`(model, batch) -> log-probabilities (B, C)`."""


@dataclass(frozen=True)
class VerificationResult:
    """Difference between two computations of the same completions.

    Attributes:
        max_logprob_diff: Largest absolute difference of log-probabilities [nats].
        mean_logprob_diff: Mean absolute difference of log-probabilities [nats].
        gradient_rel_diff: Norm of the gradient difference over the norm of the reference
            gradient. None if gradients were not compared.
        half_precision: Whether the model computes in float16, bfloat16 or TF32.
    """

    max_logprob_diff: float
    mean_logprob_diff: float
    gradient_rel_diff: float | None
    half_precision: bool

    def passed(self, settings: SharedPrefixSettings) -> bool:
        """Whether all differences are within the limits. NaN is never within a limit."""
        gradient = self.gradient_rel_diff
        if self.half_precision:
            logprobs_close = self.mean_logprob_diff <= HALF_LOGPROB_TOLERANCE
            return logprobs_close and (gradient is None or gradient <= HALF_GRADIENT_TOLERANCE)
        logprobs_close = self.max_logprob_diff <= settings.tolerance
        limit = GRADIENT_FACTOR * settings.tolerance
        return logprobs_close and (gradient is None or gradient <= limit)

    def of_all_processes(self, device: torch.device | str) -> VerificationResult:
        """The largest differences of all processes.

        Args:
            device: The device of the model.
        """
        gradient = self.gradient_rel_diff
        values = [self.max_logprob_diff, self.mean_logprob_diff, gradient or 0.0]
        largest, mean, relative = maxima(values, device)
        return replace(
            self,
            max_logprob_diff=largest,
            mean_logprob_diff=mean,
            gradient_rel_diff=None if gradient is None else relative,
        )

    def __str__(self) -> str:
        text = f"log-probabilities differ by at most {self.max_logprob_diff:.1e} nats"
        if self.gradient_rel_diff is None:
            return text
        return f"{text}, gradients by {self.gradient_rel_diff:.1e}"


def verify_policy(
    model: Any,
    batch: PlainBatch,
    gradients: bool,
    reference: LogprobFunction,
    shared: LogprobFunction,
    dtype: torch.dtype,
) -> VerificationResult:
    """Compare log-probabilities, and the gradient of a few parameters.

    Args:
        model: The policy or the reference model.
        batch: A few rows.
        gradients: Whether to compare gradients.
        reference: Computation that repeats every prompt.
        shared: Computation with shared prompts.
        dtype: The dtype of the computation.
    """
    with torch.set_grad_enabled(gradients):
        expected, actual = reference(model, batch), shared(model, batch)
    samples = None
    if gradients:
        parameters = sample_parameters(model)
        samples = (sample_gradient(expected, parameters), sample_gradient(actual, parameters))
    mask = batch.attention_mask[:, -batch.completion_width :].bool()
    return compare_logprobs(expected[mask], actual[mask], samples, dtype)


def verify_rollout(
    model: Any,
    base: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    rollout_logprobs: Sequence[Sequence[float]],
    images: BatchImages | None,
    token_type_ids: Sequence[Sequence[int]] | None,
    dtype: torch.dtype,
) -> VerificationResult:
    """Compare the log-probabilities during sampling with those of `score_groups`.

    Args:
        model: The model to call: the base model or a wrapper of it.
        base: The transformers model without wrapper.
        prompt_ids: Token ids of the prompt of each row.
        completion_ids: Token ids of the sampled completion of each row.
        rollout_logprobs: Log-probabilities from `sample_groups` [nats]. Only tokens that have one
            are compared: TRL keeps padding after an end token that is only known to `generate`.
        images: The images of the rows, or None.
        token_type_ids: 1 on the image tokens of each prompt, or None.
        dtype: The dtype of the computation.
    """

    def padded(rows: Sequence[Sequence[Any]], side: str) -> Tensor:
        tensors = [torch.tensor(row, device=base.device) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_side=side, padding_value=0)

    prompts, completions = padded(prompt_ids, "left"), padded(completion_ids, "right")
    mask = padded([[1] * len(row) for row in prompt_ids], "left")
    completion_mask = padded([[1] * len(row) for row in completion_ids], "right")
    types = None
    if token_type_ids is not None:
        types = torch.cat([padded(token_type_ids, "left"), torch.zeros_like(completions)], dim=1)
    batch = PlainBatch(
        torch.cat([prompts, completions], dim=1),
        torch.cat([mask, completion_mask], dim=1),
        completions.shape[1],
        types,
        images,
    )
    with torch.no_grad():
        expected = score_groups(
            model,
            base,
            batch.groups(),
            logits_head(1.0),
            entropy=False,
            settings=SharedPrefixSettings(),
        ).logprobs
    sampled = padded(
        [row[: len(ids)] for row, ids in zip(rollout_logprobs, completion_ids, strict=True)],
        "right",
    )
    lengths = torch.tensor([len(row) for row in rollout_logprobs], device=base.device)
    columns = torch.arange(completions.shape[1], device=base.device)
    selected = completion_mask.bool() & (columns < lengths[:, None])
    return compare_logprobs(expected[selected], sampled[selected], None, dtype)


def compare_logprobs(
    expected: Tensor,
    actual: Tensor,
    gradients: tuple[Tensor, Tensor] | None,
    dtype: torch.dtype,
) -> VerificationResult:
    """Measure the difference of log-probabilities, and of gradients if given.

    Args:
        expected: Log-probabilities without sharing.
        actual: Log-probabilities with sharing, of the same shape.
        gradients: Vectors from `sample_gradient` without and with sharing, or None.
        dtype: The dtype of the computation.
    """
    difference = (expected.detach().float() - actual.detach().float()).abs()
    gradient = None
    if gradients is not None:
        first, second = (each.float() for each in gradients)
        scale = max(float(first.norm()), torch.finfo(torch.float32).tiny)
        gradient = float((first - second).norm()) / scale
    largest = float(difference.max()) if difference.numel() else 0.0
    mean = float(difference.mean()) if difference.numel() else 0.0
    return VerificationResult(largest, mean, gradient, _has_short_mantissa(dtype, expected.device))


def _has_short_mantissa(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products are rounded to half precision, or to TF32 on a GPU."""
    uses_tf32 = torch.get_float32_matmul_precision() != "highest"
    half = dtype in (torch.float16, torch.bfloat16)
    return half or (device.type == "cuda" and uses_tf32)


def sample_parameters(model: Any) -> list[Tensor]:
    """A few trainable parameters, spread over the model, without very large ones."""
    trainable = [
        each
        for each in model.parameters()
        if each.requires_grad and 0 < each.numel() <= _LARGEST_PARAMETER
    ]
    step = max(1, len(trainable) // _PARAMETERS)
    return trainable[::step][:_PARAMETERS]


def sample_gradient(logprobs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Gradient of a fixed weighted sum of log-probabilities, as one vector.

    Args:
        logprobs: `(B, C)`, differentiable.
        parameters: The parameters of the gradient.
    """
    count = logprobs.numel()
    weights = torch.linspace(-1.0, 1.0, count, device=logprobs.device).view_as(logprobs)
    found = torch.autograd.grad((logprobs * weights).sum(), list(parameters), allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
            for parameter, gradient in zip(parameters, found, strict=True)
        ]
    )
