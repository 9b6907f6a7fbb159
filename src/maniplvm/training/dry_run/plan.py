"""A recipe as all processes of a launch would run it, and the memory that each would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.models import build_meta_model
from maniplvm.training.config.launch import Launch
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.config.trainer_settings import build_config
from maniplvm.training.dry_run.activations import Workload
from maniplvm.training.dry_run.memory import MemoryEstimate, Training, estimate_memory
from maniplvm.training.dry_run.token_lengths import TokenLengths
from maniplvm.training.packages import torch

_HALVES = ("bfloat16", "float16")


def forecast_memory(
    recipe: Recipe, method: str, lengths: TokenLengths, launch: Launch
) -> MemoryEstimate:
    """The memory on each GPU for prompts of known lengths; only `config.json` is read.

    Args:
        recipe: From `read_recipe`.
        method: `sft` or `grpo`.
        lengths: Of the samples.
        launch: How it will be started.

    Raises:
        UserError: as `check`, the data set aside.
    """
    config = planned_settings(recipe, method, Path("runs") / recipe.name, launch)
    return planned_memory(recipe, method, config, planned_skeleton(recipe), lengths, launch)


def is_for_gpu(recipe: Recipe) -> bool:
    """Whether a recipe is meant for GPUs: there is one here, or it computes in 16 bits."""
    if recipe.trainer.get("use_cpu") or recipe.model.device == "cpu":
        return False
    halves = recipe.trainer.get("bf16") or recipe.trainer.get("fp16")
    return bool(halves or recipe.model.dtype in _HALVES or torch().cuda.is_available())


def stored_dtype(recipe: Recipe) -> str:
    """The precision of the weights where the recipe would run, by name."""
    if recipe.model.dtype != "auto":
        return recipe.model.dtype
    return "bfloat16" if is_for_gpu(recipe) else "float32"


def planned_settings(recipe: Recipe, method: str, root: Path, launch: Launch) -> Any:
    """TRL's settings as all processes together have them, without asking for a GPU.

    One process stands for all: its batch is all of theirs, so that TRL's own checks of how
    batches and groups divide hold for the launch that is meant.
    """
    trainer = dict(recipe.trainer)
    each = trainer.get("per_device_train_batch_size", 8)
    trainer |= {
        "per_device_train_batch_size": each * launch.processes,
        "bf16": False,
        "fp16": False,
        "tf32": None,
        "use_cpu": True,
    }
    config = build_config(replace(recipe, trainer=trainer), method, root, on_cpu=True)
    config.gradient_checkpointing = recipe.trainer.get("gradient_checkpointing", is_for_gpu(recipe))
    return config


def planned_skeleton(recipe: Recipe) -> Any:
    """The recipe's model without weights, as `models.build_meta_model` makes it."""
    model = recipe.model
    return build_meta_model(
        model.source,
        dtype=stored_dtype(recipe),
        lora=model.lora,
        freeze_vision=model.freeze_vision,
        revision=model.revision,
        trust_remote_code=model.trust_remote_code,
    )


def planned_memory(
    recipe: Recipe,
    method: str,
    config: Any,
    skeleton: Any,
    lengths: TokenLengths,
    launch: Launch,
) -> MemoryEstimate:
    """The memory on each GPU.

    Args:
        recipe: From `read_recipe`.
        method: `sft` or `grpo`.
        config: From `planned_settings`.
        skeleton: From `planned_skeleton`.
        lengths: Of the samples.
        launch: How it will be started.
    """
    work = _workload(recipe, method, config, lengths, launch)
    return estimate_memory(skeleton, work, _training(recipe, method, config), launch)


def _training(recipe: Recipe, method: str, config: Any) -> Training:
    lora = recipe.model.lora
    return Training(
        autocast=recipe.trainer.get("bf16", is_for_gpu(recipe)) or "fp16" in recipe.trainer,
        checkpointing=bool(config.gradient_checkpointing),
        optimizer=str(getattr(config.optim, "value", config.optim)),
        reference=method == "grpo" and config.beta != 0,
        adapters=() if lora is None else lora.targets,
    )


def _workload(
    recipe: Recipe, method: str, config: Any, lengths: TokenLengths, launch: Launch
) -> Workload:
    """The longest batch that can come: every row as long as the longest sample allows."""
    rows = config.per_device_train_batch_size // launch.processes
    prompt, image = max(lengths.prompt), max(lengths.image)
    if method == "sft":
        return Workload(rows, prompt, max(lengths.target), image)
    completion = config.max_completion_length
    generated = 0 if config.use_vllm else rows * config.steps_per_generation
    sharing, group = recipe.shared_prefix, config.num_generations
    if sharing.enabled and sharing.policy and rows % group == 0:
        return Workload(rows // group, prompt, completion, image, group, generated)
    return Workload(rows, prompt, completion, image, generated_rows=generated)
