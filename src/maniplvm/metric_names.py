"""Names of the metrics in `log.jsonl`: those of TRL, and ours for metrics that TRL lacks."""

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
"""Metrics of TRL that a run logs."""

OWN_METRICS = (
    "parse_rate",
    "format_rate",
    "answer_diversity",
    "group_reward_std",
    "executions_lost",
)
"""Metrics that TRL does not log. Reward terms are `reward/TERM` and `reward/TASK/TERM`."""

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
"""Present names of metrics by their names in logs of earlier versions."""


def current_name(name: str) -> str:
    """The present name of a metric."""
    return OLD_NAMES.get(name, name)


def with_current_names(line: Mapping[str, float]) -> dict[str, float]:
    """A line of a log, or a point of a stored curve, with the present names of its metrics."""
    return {current_name(name): value for name, value in line.items()}
