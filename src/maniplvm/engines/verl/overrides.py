"""A recipe as the settings of `verl.trainer.main_ppo`: every field is mapped, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.engines.recipes.checks import Check, common_checks, refuse_settings
from maniplvm.engines.recipes.data import model_path
from maniplvm.engines.verl.cluster import Batches, Cluster
from maniplvm.engines.verl.trainer_fields import (
    ACTOR,
    ENGINE,
    MODEL,
    ROLLOUT,
    Values,
    trainer_values,
)
from maniplvm.models.lora import LANGUAGE_TARGETS, LoraSettings
from maniplvm.training import Recipe

_VISION = ".*visual.*"
"""The vision tower of Qwen-VL, as a pattern of peft; its linear layers then get no adapter."""
_PROMPT_STEP = 64
"""The longest prompt is rounded up to a multiple of this [tokens]."""


@dataclass(frozen=True)
class Overrides:
    """The settings of a verl run.

    Attributes:
        values: Settings by their path in verl's configuration; a leading `+` adds one.
        warnings: What verl does in another way than our trainer, one line each.
    """

    values: Mapping[str, Any]
    warnings: tuple[str, ...]


def build_overrides(
    recipe: Recipe,
    config: Any,
    batches: Batches,
    cluster: Cluster,
    longest_prompt: int,
    validates: bool,
) -> Overrides:
    """The settings of `verl.trainer.main_ppo` for a GRPO recipe, without the paths of files.

    Args:
        recipe: The recipe.
        config: The `trl.GRPOConfig` of `plan_config` for `cluster.launch`.
        batches: The result of `plan_batches`.
        cluster: The machines.
        longest_prompt: Length of the longest prompt with its image [tokens].
        validates: Whether the folder has validation prompts.

    Raises:
        UserError: a setting that verl cannot follow; the message names it and what to do.
    """
    refuse_settings(recipe, _checks(recipe))
    values, warnings = trainer_values(recipe, config, batches)
    values |= {
        **_model_values(recipe),
        **_seed_values(recipe.seed),
        "data.image_key": "images",
        "data.max_prompt_length": -(-longest_prompt // _PROMPT_STEP) * _PROMPT_STEP,
        "data.shuffle": False,  # the file holds the prompts in the order of the run
        "data.truncation": "error",
        "data.filter_overlong_prompts": False,
        "data.trust_remote_code": recipe.model.trust_remote_code,
        f"{ACTOR}.strategy": "fsdp2",
        f"{ROLLOUT}.name": cluster.rollout,
        f"{ROLLOUT}.tensor_model_parallel_size": cluster.tensor_parallel,
        f"{ROLLOUT}.enable_prefix_caching": recipe.shared_prefix.enabled
        and recipe.shared_prefix.rollout,
        "trainer.n_gpus_per_node": cluster.gpus,
        "trainer.nnodes": cluster.nodes,
        "trainer.val_before_train": validates,
        "trainer.test_freq": values["trainer.save_freq"] if validates else -1,
    }
    return Overrides(values, (*warnings, *_warnings(recipe)))


def _checks(recipe: Recipe) -> list[Check]:
    model = recipe.model
    return [
        *common_checks(recipe, ENGINE),
        (
            "model.revision",
            model.revision is not None,
            "download that revision and use its folder as model.source",
        ),
        (
            "model.freeze_vision",
            model.freeze_vision and model.lora is None,
            "verl 0.9.1 reads its freeze_vision_tower nowhere; remove it, or train with model.lora",
        ),
        (
            "model.lora.dropout",
            model.lora is not None and model.lora.dropout > 0,
            "verl has no dropout in adapters; set it to 0",
        ),
        (
            "model.lora.vision",
            model.lora is not None and model.lora.vision and not _is_all(model.lora),
            "with other targets than the default, verl cannot tell both towers apart; remove one",
        ),
    ]


def _is_all(lora: LoraSettings) -> bool:
    return set(lora.targets) == set(LANGUAGE_TARGETS)


def _model_values(recipe: Recipe) -> Values:
    model = recipe.model
    packs = model.attn.startswith("flash_attention")
    values: Values = {
        f"{MODEL}.path": model_path(model.source),
        f"{MODEL}.trust_remote_code": model.trust_remote_code,
        f"{MODEL}.use_remove_padding": packs,  # packed rows need flash attention
        f"+{MODEL}.override_config.attn_implementation": model.attn,
    }
    if model.lora is None:
        return values
    lora = model.lora
    values |= {
        f"{MODEL}.lora_rank": lora.rank,
        f"{MODEL}.lora_alpha": lora.alpha,
        f"{ROLLOUT}.load_format": "safetensors",  # the engine loads the frozen weights itself
    }
    if lora.vision:
        return {**values, f"{MODEL}.target_modules": "all-linear"}
    return {
        **values,
        f"{MODEL}.target_modules": list(lora.targets),
        f"{MODEL}.exclude_modules": _VISION,
    }


def _seed_values(seed: int) -> Values:
    names = (
        "data.seed",
        f"{ACTOR}.data_loader_seed",
        f"{ACTOR}.fsdp_config.seed",
        f"{ROLLOUT}.seed",
    )
    return dict.fromkeys(names, seed)


def _warnings(recipe: Recipe) -> list[str]:
    found = list[str]()
    if recipe.shared_prefix.enabled and recipe.shared_prefix.policy:
        found.append(
            "shared_prefix.policy: verl computes every prompt once per completion when it trains; "
            "see docs/engines.md"
        )
    if not recipe.model.attn.startswith("flash_attention"):
        found.append(
            f"model.attn: {recipe.model.attn} trains padded rows; with flash-attn installed, "
            "--set model.attn=flash_attention_2 packs them"
        )
    return found
