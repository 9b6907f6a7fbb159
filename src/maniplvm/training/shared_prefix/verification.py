"""Does the shared pass say what the plain pass says? Compared on a few real completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.settings import SharedPrefixSettings

GRADIENT_FACTOR = 10.0
"""Relative differences of gradients may be this much larger than differences of log-probabilities."""
HALF_LOGPROB_TOLERANCE = 0.05
"""Mean difference [nats] in half precision; a token that sees what it must not is off by far more."""
HALF_GRADIENT_TOLERANCE = 0.25
"""Relative difference of gradients in half precision."""
_LARGEST_PARAMETER = 4_000_000
_PARAMETERS = 8


@dataclass(frozen=True)
class Agreement:
    """How far two passes differ on the same completions.

    Attributes:
        largest: Difference of log-probabilities [nats].
        mean: Mean absolute difference [nats].
        gradient: Norm of the difference of gradients over the norm of the plain one; None if
            gradients were not compared.
        half: Whether computed in half precision.
    """

    largest: float
    mean: float
    gradient: float | None
    half: bool

    def holds(self, settings: SharedPrefixSettings) -> bool:
        """Whether the difference is rounding. A difference that is no number is none."""
        if self.half:
            close = self.mean <= HALF_LOGPROB_TOLERANCE
            return close and (self.gradient is None or self.gradient <= HALF_GRADIENT_TOLERANCE)
        close = self.largest <= settings.tolerance
        limit = GRADIENT_FACTOR * settings.tolerance
        return close and (self.gradient is None or self.gradient <= limit)

    def __str__(self) -> str:
        text = f"log-probabilities differ by at most {self.largest:.1e} nats"
        return text if self.gradient is None else f"{text}, gradients by {self.gradient:.1e}"


def compare(
    plain: Tensor,
    shared: Tensor,
    gradients: tuple[Tensor, Tensor] | None,
    dtype: torch.dtype,
) -> Agreement:
    """The agreement of log-probabilities, and of gradients if there are any.

    Args:
        plain: `(B, C)`.
        shared: `(B, C)`.
        gradients: From `sample_gradient` for both, plain first.
        dtype: In which they were computed.
    """
    difference = (plain.detach().float() - shared.detach().float()).abs()
    gradient = None
    if gradients is not None:
        first, second = (each.float() for each in gradients)
        scale = max(float(first.norm()), torch.finfo(torch.float32).tiny)
        gradient = float((first - second).norm()) / scale
    largest = float(difference.max()) if difference.numel() else 0.0
    mean = float(difference.mean()) if difference.numel() else 0.0
    return Agreement(largest, mean, gradient, dtype in (torch.float16, torch.bfloat16))


def sample_parameters(model: Any) -> list[Tensor]:
    """A few parameters that learn, spread over the model, none of them huge."""
    learning = [
        each
        for each in model.parameters()
        if each.requires_grad and 0 < each.numel() <= _LARGEST_PARAMETER
    ]
    step = max(1, len(learning) // _PARAMETERS)
    return learning[::step][:_PARAMETERS]


def sample_gradient(logprobs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Gradient of a fixed mix of log-probabilities in some parameters, as one vector."""
    count = logprobs.numel()
    weights = torch.linspace(-1.0, 1.0, count, device=logprobs.device).view_as(logprobs)
    found = torch.autograd.grad((logprobs * weights).sum(), list(parameters), allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
            for parameter, gradient in zip(parameters, found, strict=True)
        ]
    )
