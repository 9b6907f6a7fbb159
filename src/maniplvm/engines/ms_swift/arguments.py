"""A recipe as arguments of `swift rlhf`: every field is mapped, or refused by name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.engines.ms_swift.reward import TOTAL, reward_names
from maniplvm.engines.ms_swift.trainer_fields import ENGINE, Values, trainer_values
from maniplvm.engines.recipes.checks import common_checks, refuse_settings
from maniplvm.engines.recipes.data import RecipeData, model_path
from maniplvm.errors import UserError
from maniplvm.models.lora import LANGUAGE_TARGETS
from maniplvm.training import Recipe
from maniplvm.training.config.launch import Launch, Sharding

SHARDINGS = (Sharding.NONE, Sharding.ZERO2, Sharding.ZERO3)
"""How an exported run can share the training state; ZeRO needs DeepSpeed."""

_MODEL_TYPES = {
    "Qwen2VLProcessor": "qwen2_vl",
    "Qwen2_5_VLProcessor": "qwen2_5_vl",
    "Qwen3VLProcessor": "qwen3_vl",
}
"""ms-swift's `model_type` by the class of the processor."""

_LANGUAGE = r".*language_model.*\.({})"
"""Linear layers of the language model of Qwen-VL, as a pattern of peft."""


@dataclass(frozen=True)
class Machines:
    """The machines of a run. Every GPU trains, and generates with vLLM if the recipe does.

    Attributes:
        gpus: GPUs of one machine.
        nodes: Number of machines.
        sharding: How the training state is shared; None shares it with ZeRO-3 if there are several
            GPUs.

    Raises:
        UserError: a number below 1, or a way that cannot be exported.
    """

    gpus: int = 1
    nodes: int = 1
    sharding: str | None = None

    def __post_init__(self) -> None:
        for option, value in (("--gpus", self.gpus), ("--nodes", self.nodes)):
            if value < 1:
                raise UserError(f"{option} must be at least 1, got {value}")
        if self.sharding is not None and self.sharding not in SHARDINGS:
            raise UserError(f"--sharding {self.sharding}: choose from {', '.join(SHARDINGS)}")

    @property
    def deepspeed(self) -> str | None:
        """The name of ms-swift's DeepSpeed configuration, or None."""
        several = self.gpus * self.nodes > 1
        chosen = self.sharding or (Sharding.ZERO3 if several else Sharding.NONE)
        return None if chosen == Sharding.NONE else str(chosen)

    @property
    def launch(self) -> Launch:
        """The same machines as a launch of our own trainer."""
        return Launch(processes=self.gpus * self.nodes, machines=self.nodes)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a run.

    Attributes:
        values: Arguments by their names, without the paths of files.
        warnings: What ms-swift does in another way than our trainer, one line each.
    """

    values: Mapping[str, Any]
    warnings: tuple[str, ...]


def build_arguments(data: RecipeData, config: Any, machines: Machines, steps: int) -> Arguments:
    """The arguments of `swift rlhf` for a GRPO recipe.

    Args:
        data: The prompts of the recipe.
        config: The `trl.GRPOConfig` of `plan_config` for `machines.launch`.
        machines: The machines.
        steps: Optimizer steps of the run.

    Raises:
        UserError: a setting that ms-swift cannot follow; the message names it and what to do.
    """
    recipe = data.recipe
    _refuse(recipe)
    longest = data.longest_prompt()
    values, warnings = trainer_values(recipe, config, machines.launch.processes, longest)
    names = reward_names(recipe.preset, recipe.tasks)
    values |= {
        "rlhf_type": "grpo",
        **_model_values(data),
        "reward_funcs": names,
        "reward_weights": [float(name == TOTAL) for name in names],
        "max_steps": steps,
        "max_length": longest,
        "truncation_strategy": "left",  # `max_length` is that of the longest prompt
        "template_backend": "jinja",  # the chat template of the model, as in evaluation
        "dataset_shuffle": False,  # the file holds the prompts in the order of the run
        "train_dataloader_shuffle": False,
        "strict": True,  # otherwise a row that cannot be read is left out
        "load_from_cache_file": False,
        "split_dataset_ratio": 0,
        "remove_unused_columns": False,
        "add_version": False,
        "check_model": False,
        "log_completions": bool(recipe.monitor.samples_every),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "deepspeed": machines.deepspeed,
    }
    if data.validation:
        values |= {
            "eval_strategy": "steps",
            "eval_steps": values["save_steps"],
            "num_generations_eval": 1,
            "per_device_eval_batch_size": values["per_device_train_batch_size"],
        }
    else:
        values["eval_strategy"] = "no"
    if recipe.shared_prefix.enabled and recipe.shared_prefix.policy:
        warnings.append(
            "shared_prefix.policy: ms-swift computes every prompt once per completion when it trains"
        )
    given = {name: value for name, value in values.items() if value is not None}
    return Arguments(given, tuple(warnings))


def argument_words(name: str, value: Any) -> str:
    """One argument as words of a shell command, such as `--beta 0.04`.

    Args:
        name: The name of the argument.
        value: A boolean, number, string, mapping (written as JSON), or a sequence of strings.
    """
    if isinstance(value, bool):
        words = [str(value).lower()]
    elif isinstance(value, Mapping):
        words = [json.dumps(value)]
    elif isinstance(value, list | tuple):
        words = [str(each) for each in value]
    else:
        words = [str(value)]
    return " ".join([f"--{name}", *map(shlex.quote, words)])


def _refuse(recipe: Recipe) -> None:
    lora = recipe.model.lora
    own = (
        "model.lora.vision",
        lora is not None and lora.vision and set(lora.targets) != set(LANGUAGE_TARGETS),
        "with other targets than the default, ms-swift cannot tell both towers apart; remove one",
    )
    refuse_settings(recipe, [*common_checks(recipe, ENGINE), own])


def _model_values(data: RecipeData) -> Values:
    model = data.recipe.model
    kind = type(data.interface.processor).__name__
    if kind not in _MODEL_TYPES:
        raise UserError(
            f"{model.source}: ms-swift has no model type for {kind}; choose a Qwen-VL model"
        )
    values: Values = {
        "model": model_path(model.source),
        "model_type": _MODEL_TYPES[kind],
        "template": _MODEL_TYPES[kind],
        "model_revision": model.revision,
        "torch_dtype": None if model.dtype == "auto" else model.dtype,
        "attn_impl": model.attn,
        "tuner_type": "full",
        "freeze_vit": model.freeze_vision,
        "freeze_aligner": model.freeze_vision,  # the merger is part of the vision tower
    }
    if model.lora is None:
        return values
    lora = model.lora
    values |= {
        "tuner_type": "lora",
        "lora_rank": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "lora_dtype": "float32",
    }
    if lora.vision:
        return {
            **values,
            "target_modules": ["all-linear"],
            "freeze_vit": False,
            "freeze_aligner": False,
        }
    return {**values, "target_regex": _LANGUAGE.format("|".join(lora.targets))}
