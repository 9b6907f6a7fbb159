"""The reward functions that ms-swift calls: the scores of `maniplvm.rewards`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from maniplvm.engines.scoring import RATES, Scored, score_completions, term_names
from maniplvm.rewards.presets import resolve_preset
from maniplvm.rewards.scoring import PresetLike
from maniplvm.tasks import Task

TOTAL = "maniplvm"
"""Name of the reward function whose value is the reward."""


def reward_names(preset: PresetLike, tasks: Sequence[Task] = tuple(Task)) -> tuple[str, ...]:
    """Names for `--reward_funcs`: `TOTAL`, the rates, and every term as `task/term`.

    Args:
        preset: As in `rewards.score`.
        tasks: The tasks whose terms are included.
    """
    return (TOTAL, *RATES, *term_names(resolve_preset(preset), tasks))


def reward_classes(preset: PresetLike, base: type) -> dict[str, type]:
    """Classes for the table `orms` of `swift.rewards`, by the names of `reward_names`.

    ms-swift logs the mean of each class as `rewards/NAME/mean`. Only `TOTAL` is the reward; the
    others must have weight 0. A term of another task is None, which ms-swift leaves out.

    Args:
        preset: As in `rewards.score`.
        base: `swift.rewards.ORM`.
    """
    chosen = resolve_preset(preset)

    @lru_cache(maxsize=2)  # every class is called with the same completions
    def scored(texts: tuple[str, ...], ground_truths: tuple[str, ...]) -> list[Scored]:
        return score_completions(texts, ground_truths, chosen)

    def reward_class(name: str) -> type:
        def call(
            _self: Any, completions: list[str], ground_truth: list[str], **_: Any
        ) -> list[float | None]:
            scores = scored(tuple(completions), tuple(ground_truth))
            if name == TOTAL:
                return [each.total for each in scores]
            return [each.metrics.get(name) for each in scores]

        return type(name, (base,), {"__call__": call})

    return {name: reward_class(name) for name in reward_names(chosen)}
