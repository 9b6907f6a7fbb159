"""The settings of TRL's trainer, resolved here and nowhere else: for a run and for its dry run."""

from __future__ import annotations

import importlib.util
import math
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from maniplvm.config import unknown_key
from maniplvm.errors import UserError
from maniplvm.optional import torch, trl
from maniplvm.training.config.launch import Launch, is_sharded
from maniplvm.training.config.recipe import Recipe

ELSEWHERE: Mapping[str, str] = {
    "output_dir": "the run folder is --out",
    "seed": "it is the recipe's own key seed",
    "data_seed": "it is the recipe's own key seed",
    "model_init_kwargs": "the model is set under model",
    "trust_remote_code": "it is model.trust_remote_code",
    "freeze_vision_tower": "it is model.freeze_vision",
    "resume_from_checkpoint": "an unfinished run resumes automatically",
    "ignore_data_skip": "an unfinished run resumes at its last checkpoint",
    "save_strategy": "checkpoints are written every save_steps",
    "save_only_model": "the run could not resume",
    "load_best_model_at_end": "the last weights are kept; evaluate with `maniplvm evaluate`",
    "do_eval": "evaluate with `maniplvm evaluate`",
    "eval_strategy": "evaluate with `maniplvm evaluate`",
    "eval_on_start": "evaluate with `maniplvm evaluate`",
    "remove_unused_columns": "the trainer needs all columns",
    "shuffle_dataset": "the seed decides the order of the prompts",
    "train_sampling_strategy": "the seed decides the order of the prompts",
    "packing": "images cannot be packed",
    "log_completions": "it is monitor.samples_every",
}
"""Fields that a recipe must not set under `trainer`, with what to do instead."""

_REPORTERS = {"trackio": "trackio", "wandb": "wandb", "tensorboard": "tensorboard"}
_NEW_NAMES = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}
_SIMPLE = {bool: "a boolean", int: "an integer", float: "a number", str: "a string"}
_HALF_PRECISION = ("bfloat16", "float16")


@dataclass(frozen=True)
class Schedule:
    """The length of a run.

    Attributes:
        steps: Optimizer steps.
        prompts: Prompts of all steps together.
        prompts_per_batch: Prompts of one generation batch (GRPO) or of one step (SFT).
    """

    steps: int
    prompts: int
    prompts_per_batch: int


def trainer_fields(method: str) -> tuple[str, ...]:
    """Names that a recipe may set under `trainer`."""
    return tuple(f.name for f in fields(_config_class(method)) if f.name not in ELSEWHERE)


def build_config(recipe: Recipe, method: str, out: Path, on_cpu: bool) -> Any:
    """The `trl.SFTConfig` or `trl.GRPOConfig` of a run in this process.

    Args:
        recipe: The recipe; its `trainer` overrides every default.
        method: `sft` or `grpo`.
        out: The run folder.
        on_cpu: Whether the run computes on the CPU (`runs_on_cpu`).

    Raises:
        UserError: an unknown field, one that belongs elsewhere, or a value that TRL refuses.
    """
    check_trainer(recipe, method)
    bf16 = not on_cpu and torch().cuda.is_bf16_supported(including_emulation=False)
    return _config(recipe, method, out, _resolve(recipe, method, on_cpu, bf16))


def plan_config(recipe: Recipe, method: str, out: Path, launch: Launch) -> Any:
    """The config that a run would have under a launch, built without asking for a GPU.

    One process stands for all of them: its batch is the batch of all processes. TRL's own checks
    of batch and group sizes then hold for the planned launch. All other fields, such as `bf16`
    and `activation_checkpointing`, are those of the run itself.

    Args:
        recipe: The recipe.
        method: `sft` or `grpo`.
        out: The run folder.
        launch: How the run will be launched.

    Raises:
        UserError: as `build_config`; also a precision that the launch contradicts.
    """
    check_trainer(recipe, method)
    on_gpu = targets_gpu(recipe) and not launch.on_cpu
    settings = _resolve(recipe, method, not on_gpu, on_gpu)
    rows = settings.get(
        "per_device_train_batch_size", _default(method, "per_device_train_batch_size")
    )
    settings |= {
        "per_device_train_batch_size": rows * launch.processes,
        "use_cpu": True,  # TRL refuses bf16 without a GPU otherwise
        "tf32": None,
    }
    config = _config(recipe, method, out, settings)
    precision = effective_precision(config, launch)
    if launch.mixed_precision not in ("no", precision):
        raise UserError(
            f"{recipe.where}: trainer computes in {precision}, but the accelerate config says "
            f"mixed_precision {launch.mixed_precision}; set them equal"
        )
    return config


def effective_precision(config: Any, launch: Launch) -> str:
    """The mixed precision of a run: that of its config, else that of its launch.

    Args:
        config: A `trl.SFTConfig` or `trl.GRPOConfig`.
        launch: How the run will be launched.

    Returns:
        `no`, `fp16` or `bf16`.
    """
    return "fp16" if config.fp16 else "bf16" if config.bf16 else launch.mixed_precision


def runs_on_cpu(recipe: Recipe) -> bool:
    """Whether a run in this process computes on the CPU."""
    if recipe.trainer.get("use_cpu") or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true":
        return True
    if not torch().cuda.is_available():
        return True
    return recipe.model.device == "cpu" and not is_sharded()


def targets_gpu(recipe: Recipe) -> bool:
    """Whether a recipe is written for GPUs: one is here, or the recipe computes in 16 bits."""
    if recipe.trainer.get("use_cpu") or recipe.model.device == "cpu":
        return False
    half = recipe.trainer.get("bf16") or recipe.trainer.get("fp16")
    return bool(half or recipe.model.dtype in _HALF_PRECISION or torch().cuda.is_available())


def compute_schedule(config: Any, method: str, epoch_prompts: int) -> Schedule:
    """The length of a run from its config.

    Args:
        config: A `trl.SFTConfig` or `trl.GRPOConfig`; `max_steps` overrides `num_train_epochs`.
        method: `sft` or `grpo`.
        epoch_prompts: Prompts of one epoch.
    """
    accumulation = config.gradient_accumulation_steps
    if method == "sft":
        batch = config.per_device_train_batch_size * config.world_size * accumulation
        epochs = math.ceil(config.num_train_epochs * epoch_prompts / batch)
        steps = config.max_steps if config.max_steps > 0 else max(1, epochs)
        return Schedule(steps, steps * batch, batch)
    batch = config.generation_batch_size // config.num_generations
    reuse = config.steps_per_generation * config.num_iterations
    batches = math.ceil(config.num_train_epochs * epoch_prompts / batch)
    steps = config.max_steps if config.max_steps > 0 else max(1, batches * reuse // accumulation)
    return Schedule(steps, math.ceil(steps * accumulation / reuse) * batch, batch)


def check_trainer(recipe: Recipe, method: str) -> None:
    """Check a recipe's `trainer` against the fields of TRL's config.

    Raises:
        UserError: as `build_config`, except for values that only TRL itself can check.
    """
    kind = _config_class(method)
    hints = get_type_hints(kind)
    valid = trainer_fields(method)
    for key, value in recipe.trainer.items():
        if key in ELSEWHERE:
            raise UserError(f"{recipe.where}: trainer.{key}: remove it; {ELSEWHERE[key]}")
        if key not in valid:
            raise UserError(f"{recipe.where}: trainer: {unknown_key(key, list(valid))}")
        expected = _mismatch(hints[key], value)
        if expected is not None:
            raise UserError(f"{recipe.where}: trainer.{key}: expected {expected}, got {value!r}")
        if key in _NEW_NAMES and _NEW_NAMES[key] in recipe.trainer:
            raise UserError(
                f"{recipe.where}: trainer.{key}: remove it; it is the old name of "
                f"{_NEW_NAMES[key]}, which is also set"
            )
    for name in _reporters(recipe):
        package = _REPORTERS.get(name)
        if package is None:
            choices = ", ".join((*_REPORTERS, "none"))
            raise UserError(f"{recipe.where}: trainer.report_to: choose from {choices}; got {name}")
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{recipe.where}: trainer.report_to: {name} is not installed: pip install {package}"
            )


def _config_class(method: str) -> Any:
    return trl().GRPOConfig if method == "grpo" else trl().SFTConfig


def _config(recipe: Recipe, method: str, out: Path, settings: Mapping[str, Any]) -> Any:
    kind = _config_class(method)
    try:
        return kind(output_dir=str(out / "checkpoints"), **settings)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f"{recipe.where}: trainer: {lines[0] if lines else error!r}") from error


def _default(method: str, name: str) -> Any:
    return next(f.default for f in fields(_config_class(method)) if f.name == name)


def _resolve(recipe: Recipe, method: str, on_cpu: bool, bf16: bool) -> dict[str, Any]:
    """Our defaults, then the recipe's own settings, then the fields that no recipe can change."""
    return {
        **_defaults(recipe, method, on_cpu, bf16),
        **_renamed(recipe.trainer),
        **_fixed(recipe, method),
    }


def _defaults(recipe: Recipe, method: str, on_cpu: bool, bf16: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "use_cpu": on_cpu,
        "bf16": bf16,
        "activation_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,  # every row has an image
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # otherwise a NaN loss is logged as the last finite one
        "save_steps": 50,
        "save_total_limit": 1,
        "run_name": recipe.name,
    }
    if recipe.trainer.get("fp16"):
        settings["bf16"] = False
    if method == "sft":
        settings["max_length"] = None  # truncation would remove the answer
    return settings


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the present names of fields that transformers has renamed."""
    return {_NEW_NAMES.get(name, name): value for name, value in settings.items()}


def _fixed(recipe: Recipe, method: str) -> dict[str, Any]:
    """Order, checkpoints and columns, which this package controls."""
    settings: dict[str, Any] = {
        "seed": recipe.seed,
        "save_strategy": "no",
        "remove_unused_columns": False,
    }
    if method == "grpo":
        settings["shuffle_dataset"] = False
    else:
        settings["train_sampling_strategy"] = "sequential"
    return settings


def _reporters(recipe: Recipe) -> list[str]:
    named = recipe.trainer.get("report_to")
    listed = named if isinstance(named, list) else [named]
    return [name for name in listed if name not in (None, "none")]


def _mismatch(hint: Any, value: Any) -> str | None:
    """The expected type in words if a value does not fit a plain annotation; else None."""
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = get_args(hint) if union else (hint,)
    if value is None:
        return None if type(None) in kinds else _words(kinds)
    if any(kind not in (*_SIMPLE, type(None)) for kind in kinds):
        return None
    fits = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        float: isinstance(value, int | float) and not isinstance(value, bool),
        str: isinstance(value, str),
    }
    return None if any(fits.get(kind, False) for kind in kinds) else _words(kinds)


def _words(kinds: tuple[Any, ...]) -> str:
    return " or ".join(_SIMPLE[kind] for kind in kinds if kind in _SIMPLE) or "a value"
