"""How many steps a run has and how many prompts it needs for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """The length of a run.

    Attributes:
        steps: Optimizer steps.
        prompts: Prompts for all of them.
        prompts_at_once: Prompts for which completions are made together, or that one step takes.
    """

    steps: int
    prompts: int
    prompts_at_once: int


def schedule(config: Any, method: str, epoch_prompts: int) -> Schedule:
    """The length of a run from TRL's settings.

    Args:
        config: `trl.SFTConfig` or `trl.GRPOConfig`; `max_steps` wins over `num_train_epochs`.
        method: `sft` or `grpo`.
        epoch_prompts: Prompts of an epoch.
    """
    accumulation = config.gradient_accumulation_steps
    if method == "sft":
        at_once = config.per_device_train_batch_size * config.world_size * accumulation
        epochs = math.ceil(config.num_train_epochs * epoch_prompts / at_once)
        steps = config.max_steps if config.max_steps > 0 else max(1, epochs)
        return Schedule(steps, steps * at_once, at_once)
    at_once = config.generation_batch_size // config.num_generations
    reuse = config.steps_per_generation * config.num_iterations
    rounds = math.ceil(config.num_train_epochs * epoch_prompts / at_once)
    steps = config.max_steps if config.max_steps > 0 else max(1, rounds * reuse // accumulation)
    return Schedule(steps, math.ceil(steps * accumulation / reuse) * at_once, at_once)
