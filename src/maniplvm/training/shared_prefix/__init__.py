"""Completions of one prompt share its computation, exactly: see docs/shared-prefix.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maniplvm.training.shared_prefix.settings import SharedPrefixSettings

if TYPE_CHECKING:
    from maniplvm.training.shared_prefix.policy import GroupScores, group_logprobs
    from maniplvm.training.shared_prefix.trainer import SharedPrefixTrainer

__all__ = ["GroupScores", "SharedPrefixSettings", "SharedPrefixTrainer", "group_logprobs"]


def __getattr__(name: str) -> Any:
    """Import what needs torch or TRL when it is first asked for: recipes need only the settings."""
    if name in ("GroupScores", "group_logprobs"):
        from maniplvm.training.shared_prefix import policy

        return getattr(policy, name)
    if name == "SharedPrefixTrainer":
        from maniplvm.training.shared_prefix.trainer import SharedPrefixTrainer

        return SharedPrefixTrainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
