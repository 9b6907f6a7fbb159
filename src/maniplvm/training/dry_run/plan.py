"""The memory plan: a recipe's model, config and batch sizes for a launch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maniplvm.models import build_meta_model
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.config.trainer_settings import (
    effective_precision,
    plan_config,
    targets_gpu,
)
from maniplvm.training.dry_run.activations import Workload
from maniplvm.training.dry_run.memory import MemoryEstimate, MemorySettings, estimate_memory
from maniplvm.training.dry_run.token_lengths import TokenLengths
from maniplvm.training.shared_prefix.row_order import keeps_groups_whole


def plan_memory(
    recipe: Recipe, method: str, lengths: TokenLengths, launch: Launch
) -> MemoryEstimate:
    """The memory on each GPU for prompts of known lengths; only `config.json` is read.

    Args:
        recipe: The recipe.
        method: `sft` or `grpo`.
        lengths: The token counts of the samples.
        launch: How the run will be launched.

    Raises:
        UserError: as `check`, except for errors of the data set.
    """
    config = plan_config(recipe, method, Path("runs") / recipe.name, launch)
    return memory_of_config(recipe, method, config, plan_model(recipe), lengths, launch)


def plan_dtype(recipe: Recipe) -> str:
    """The precision of the weights on the machine for which the recipe is written."""
    if recipe.model.dtype != "auto":
        return recipe.model.dtype
    return "bfloat16" if targets_gpu(recipe) else "float32"


def plan_model(recipe: Recipe) -> Any:
    """The recipe's model without weights, from `models.build_meta_model`."""
    model = recipe.model
    return build_meta_model(
        model.source,
        dtype=plan_dtype(recipe),
        lora=model.lora,
        freeze_vision=model.freeze_vision,
        revision=model.revision,
        trust_remote_code=model.trust_remote_code,
    )


def memory_of_config(
    recipe: Recipe,
    method: str,
    config: Any,
    meta_model: Any,
    lengths: TokenLengths,
    launch: Launch,
) -> MemoryEstimate:
    """The memory on each GPU.

    Args:
        recipe: The recipe.
        method: `sft` or `grpo`.
        config: The config of TRL, from `plan_config`.
        meta_model: The model without weights, from `plan_model`.
        lengths: The token counts of the samples.
        launch: How the run will be launched.
    """
    work = _workload(recipe, method, config, lengths, launch)
    settings = memory_settings(recipe, method, config, launch)
    return estimate_memory(meta_model, work, settings, launch)


def memory_settings(recipe: Recipe, method: str, config: Any, launch: Launch) -> MemorySettings:
    """The settings that decide about memory, from the config of TRL and the launch."""
    lora = recipe.model.lora
    return MemorySettings(
        autocast=effective_precision(config, launch) != "no",
        checkpointing=bool(config.activation_checkpointing),
        optimizer=str(getattr(config.optim, "value", config.optim)),
        reference=method == "grpo" and config.beta != 0,
        adapters=() if lora is None else lora.targets,
    )


def _workload(
    recipe: Recipe, method: str, config: Any, lengths: TokenLengths, launch: Launch
) -> Workload:
    """The largest possible batch: every row is as long as the longest sample."""
    rows = config.per_device_train_batch_size // launch.processes
    prompt, image = max(lengths.prompt), max(lengths.image)
    if method == "sft":
        return Workload(rows, prompt, max(lengths.target), image)
    completion = config.max_completion_length
    generated = 0 if config.use_vllm else rows * config.steps_per_generation
    sharing, group = recipe.shared_prefix, config.num_generations
    shares = sharing.enabled and sharing.policy and launch.sharding is not Sharding.ZERO3
    if shares and keeps_groups_whole(config, rows):
        return Workload(rows // group, prompt, completion, image, group, generated)
    return Workload(rows, prompt, completion, image, generated_rows=generated)
