"""The reward function that verl calls: the scores of `maniplvm.rewards`."""

from __future__ import annotations

from typing import Any

from maniplvm.engines.scoring import score_completions, term_names
from maniplvm.rewards.presets import Preset, resolve_preset
from maniplvm.rewards.scoring import PresetLike

DATA_SOURCE = "maniplvm/"
"""Prefix of `data_source`; the task follows, so that verl reports each task on its own."""


class RewardFunction:
    """`compute_score` of verl with one preset.

    Args:
        preset: As in `rewards.score`.
    """

    def __init__(self, preset: PresetLike) -> None:
        self._preset: Preset = resolve_preset(preset)
        self._names = term_names(self._preset)

    def __call__(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: str,
        extra_info: Any = None,
        **_: Any,
    ) -> dict[str, float | None]:
        """The score of one completion, as verl's reward managers call it.

        Args:
            data_source: Not used; the task is part of the ground truth.
            solution_str: The completion.
            ground_truth: A string of `write_ground_truth`.
            extra_info: Not used.

        Returns:
            `score`, the total; `parse_rate` and `format_rate`, 0 or 1; and every weighted term of
            the preset as `task/term`. A term of another task is None, because verl expects the
            same keys from every sample of a batch.

        Raises:
            UserError: the ground truth is not one of ours.
        """
        (scored,) = score_completions([solution_str], [ground_truth], self._preset)
        return {"score": scored.total, **dict.fromkeys(self._names), **scored.metrics}
