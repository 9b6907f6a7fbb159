"""Settings of shared-prefix training. This module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.config import validated


@validated
@dataclass(frozen=True)
class SharedPrefixSettings:
    """Which computation the completions of one prompt share.

    Attributes:
        enabled: Whether anything is shared. If False, the trainer behaves as TRL's `GRPOTrainer`.
        policy: Whether the log-probabilities of the policy, the old policy and the reference are
            computed from packed rows.
        rollout: Whether completions are sampled from one prefill per prompt.
        verify: Whether a few completions of the first batch are also computed without sharing.
        tolerance: Largest difference of a log-probability [nats] that verification accepts in
            float32. `verification` has the limits for half precision.
        max_row_tokens: Longest packed row [tokens] where attention needs a mask, that is with
            eager attention, or with gradient checkpointing of other libraries or with
            `use_reentrant: true`. The mask grows with the square of the row.
            A larger group is split into several rows, each of which repeats the prompt.
        max_batch_tokens: Most tokens of one forward pass without gradients.
    """

    enabled: bool = True
    policy: bool = True
    rollout: bool = True
    verify: bool = True
    tolerance: float = 1e-4
    max_row_tokens: int = 8192
    max_batch_tokens: int = 65536

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {self.tolerance}")
        for name in ("max_row_tokens", "max_batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
