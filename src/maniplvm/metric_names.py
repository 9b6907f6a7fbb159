"""Names of the metrics in `log.jsonl`: TRL's own, and ours for what TRL does not log."""

from __future__ import annotations

from collections.abc import Mapping

TRL_METRICS = (
    "loss",
    "grad_norm",
    "learning_rate",
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "entropy",
    "kl",
    "completions/mean_length",
    "completions/clipped_ratio",
    "clip_ratio/region_mean",
    "mean_token_accuracy",
    "step_time",
)
"""Metrics of TRL that a run keeps."""

OWN_METRICS = (
    "parse_rate",
    "format_rate",
    "answer_diversity",
    "group_reward_std",
    "executions_lost",
)
"""Metrics that TRL does not log. Reward terms come besides: `reward/TERM`, `reward/TASK/TERM`."""

OLD_NAMES: Mapping[str, str] = {
    "completion_length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
    "clipped": "clip_ratio/region_mean",
    "groups_without_signal": "frac_reward_zero_std",
    "token_accuracy": "mean_token_accuracy",
    "step_seconds": "step_time",
    "group_spread": "group_reward_std",
    "answer_variety": "answer_diversity",
}
"""Names that earlier versions wrote, with the present ones."""


def current_name(name: str) -> str:
    """The present name of a metric."""
    return OLD_NAMES.get(name, name)


def with_current_names(line: Mapping[str, float]) -> dict[str, float]:
    """A line of a log or a point of a stored curve, under the present names."""
    return {current_name(name): value for name, value in line.items()}
