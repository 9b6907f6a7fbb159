"""The settings of TRL's trainer: a recipe's own, over defaults that suit the machine."""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from maniplvm.config import unknown_key
from maniplvm.errors import UserError
from maniplvm.optional import torch, trl
from maniplvm.training.config.recipe import Recipe

ELSEWHERE: Mapping[str, str] = {
    "output_dir": "the run folder is --out",
    "seed": "it is the recipe's own key seed",
    "data_seed": "it is the recipe's own key seed",
    "model_init_kwargs": "the model is set under model",
    "trust_remote_code": "it is model.trust_remote_code",
    "freeze_vision_tower": "it is model.freeze_vision",
    "resume_from_checkpoint": "an unfinished run resumes by itself",
    "ignore_data_skip": "an unfinished run resumes where it was",
    "save_strategy": "checkpoints are made every save_steps",
    "save_only_model": "a run could not resume",
    "load_best_model_at_end": "the last weights are kept; evaluate with `maniplvm evaluate`",
    "do_eval": "evaluate with `maniplvm evaluate`",
    "eval_strategy": "evaluate with `maniplvm evaluate`",
    "eval_on_start": "evaluate with `maniplvm evaluate`",
    "remove_unused_columns": "the rows are made for the trainer",
    "shuffle_dataset": "the order of the prompts is the seed's",
    "train_sampling_strategy": "the order of the prompts is the seed's",
    "packing": "images cannot be packed",
    "log_completions": "it is monitor.samples_every",
}
"""Fields that a recipe must not set under `trainer`, and where the matter is decided."""

_REPORTERS = {"trackio": "trackio", "wandb": "wandb", "tensorboard": "tensorboard"}
_NEW_NAMES = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}
_SIMPLE = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def trainer_fields(method: str) -> tuple[str, ...]:
    """What a recipe may set under `trainer`, by name."""
    return tuple(f.name for f in fields(_config_class(method)) if f.name not in ELSEWHERE)


def build_config(recipe: Recipe, method: str, out: Path, on_cpu: bool) -> Any:
    """The `trl.SFTConfig` or `trl.GRPOConfig` of a run.

    Args:
        recipe: Its `trainer` wins over every default.
        method: `sft` or `grpo`.
        out: The run folder.
        on_cpu: Whether it computes on the CPU.

    Raises:
        UserError: an unknown field, one that belongs elsewhere, or a value that TRL refuses.
    """
    kind = _config_class(method)
    check_trainer(recipe, method)
    settings = {**_defaults(recipe, method, on_cpu), **_renamed(recipe.trainer)}
    try:
        return kind(output_dir=str(out / "checkpoints"), **_fixed(recipe, method), **settings)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f"{recipe.where}: trainer: {lines[0] if lines else error!r}") from error


def check_trainer(recipe: Recipe, method: str) -> None:
    """Hold a recipe's `trainer` against the fields of TRL's settings.

    Raises:
        UserError: as `build_config`, but for what only TRL itself can tell.
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


def _defaults(recipe: Recipe, method: str, on_cpu: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "use_cpu": on_cpu,
        "bf16": not on_cpu and torch().cuda.is_bf16_supported(including_emulation=False),
        "activation_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,  # every row has an image
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # else a loss that is NaN looks like the one before
        "save_steps": 50,
        "save_total_limit": 1,
        "run_name": recipe.name,
    }
    if recipe.trainer.get("fp16"):
        settings["bf16"] = False
    if method == "sft":
        settings["max_length"] = None  # a cut would remove the answer
    return settings


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the new names of fields that transformers has renamed."""
    return {_NEW_NAMES.get(name, name): value for name, value in settings.items()}


def _fixed(recipe: Recipe, method: str) -> dict[str, Any]:
    """What holds whatever the recipe says: order, checkpoints and columns are ours."""
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
    """What a value should have been, where that can be told from a plain annotation."""
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
