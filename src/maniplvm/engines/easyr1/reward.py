"""The reward function that EasyR1 calls: the scores of `maniplvm.rewards`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maniplvm.engines.scoring import score_completions
from maniplvm.rewards.presets import Preset, resolve_preset
from maniplvm.rewards.scoring import PresetLike


class RewardFunction:
    """`compute_score` of EasyR1 with one preset, for reward type `batch`.

    Args:
        preset: As in `rewards.score`.
    """

    def __init__(self, preset: PresetLike) -> None:
        self._preset: Preset = resolve_preset(preset)

    def __call__(self, reward_inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
        """The scores of completions, as EasyR1's reward manager calls it.

        Args:
            reward_inputs: For each completion `response`, `response_length` (not used), and
                `ground_truth`, a string of `write_ground_truth`.

        Returns:
            For each completion `overall`, the reward; `parse_rate` and `format_rate`, 0 or 1; and
            every weighted term of its task as `task/term`. EasyR1 logs the mean of each name over
            the completions that have it.

        Raises:
            UserError: a ground truth is not one of ours.
        """
        scores = score_completions(
            [each["response"] for each in reward_inputs],
            [each["ground_truth"] for each in reward_inputs],
            self._preset,
        )
        return [{"overall": each.total, **each.metrics} for each in scores]
