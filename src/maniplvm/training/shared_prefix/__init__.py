"""GRPO in which the completions of a prompt share its computation (docs/shared-prefix.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maniplvm.training.shared_prefix.settings import SharedPrefixSettings

if TYPE_CHECKING:
    from maniplvm.training.shared_prefix.policy import GroupScores, group_logprobs
    from maniplvm.training.shared_prefix.trainer import SharedPrefixTrainer

__all__ = ["GroupScores", "SharedPrefixSettings", "SharedPrefixTrainer", "group_logprobs"]


def __getattr__(name: str) -> Any:
    """Import modules that need torch or TRL at first use. Recipes need only the settings."""
    if name in ("GroupScores", "group_logprobs"):
        from maniplvm.training.shared_prefix import policy

        return getattr(policy, name)
    if name == "SharedPrefixTrainer":
        from maniplvm.training.shared_prefix.trainer import SharedPrefixTrainer

        return SharedPrefixTrainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
