"""How completions of one prompt share its computation: plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.config import validated


@validated
@dataclass(frozen=True)
class SharedPrefixSettings:
    """What `SharedPrefixTrainer` shares among the completions of one prompt.

    Attributes:
        enabled: Whether anything is shared; off, the trainer is TRL's own.
        policy: Whether log-probabilities (policy, old policy, reference) come from shared rows.
        rollout: Whether completions are sampled from one prefill a prompt.
        verify: Whether a few completions of a run's first batch are computed both ways.
        tolerance: Largest difference of a log-probability [nats] that verification accepts in
            float32; for half precision see `verification`.
        max_row_tokens: Longest packed row where attention needs a mask (checkpointed layers,
            eager attention): masks grow with its square. A group that does not fit is cut into
            several rows, each with the prompt at its front.
        max_batch_tokens: Most tokens that one forward pass without gradients takes at once.
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
