"""A recipe as the configuration of EasyR1: every field is mapped, or refused by name.

EasyR1 is a fork of verl, so the settings of the verl export are the source. They are renamed here;
those that EasyR1 lacks are refused unless they ask for what EasyR1 does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.engines.recipes.checks import Check, ValueRefusal, common_checks, refuse_settings
from maniplvm.engines.recipes.data import RecipeData, model_path
from maniplvm.engines.verl.cluster import Batches, Cluster
from maniplvm.engines.verl.trainer_fields import ACTOR, MODEL, ROLLOUT, trainer_values
from maniplvm.training import Recipe

ENGINE = "EasyR1"

_RENAMED = {
    "data.train_batch_size": "data.rollout_batch_size",
    "data.max_response_length": "data.max_response_length",
    f"{ROLLOUT}.n": "worker.rollout.n",
    f"{ROLLOUT}.temperature": "worker.rollout.temperature",
    f"{ROLLOUT}.top_p": "worker.rollout.top_p",
    f"{ROLLOUT}.top_k": "worker.rollout.top_k",
    f"{ROLLOUT}.gpu_memory_utilization": "worker.rollout.gpu_memory_utilization",
    f"{ACTOR}.ppo_mini_batch_size": "worker.actor.global_batch_size",
    f"{ACTOR}.ppo_micro_batch_size_per_gpu": "worker.actor.micro_batch_size_per_device_for_update",
    f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": (
        "worker.actor.micro_batch_size_per_device_for_experience"
    ),
    f"{ACTOR}.ppo_epochs": "worker.actor.ppo_epochs",
    f"{ACTOR}.grad_clip": "worker.actor.max_grad_norm",
    f"{ACTOR}.clip_ratio_low": "worker.actor.clip_ratio_low",
    f"{ACTOR}.clip_ratio_high": "worker.actor.clip_ratio_high",
    f"{ACTOR}.clip_ratio_c": "worker.actor.clip_ratio_dual",
    f"{ACTOR}.optim.lr": "worker.actor.optim.lr",
    f"{ACTOR}.optim.betas": "worker.actor.optim.betas",
    f"{ACTOR}.optim.weight_decay": "worker.actor.optim.weight_decay",
    f"{ACTOR}.optim.lr_warmup_steps": "worker.actor.optim.lr_warmup_steps",
    f"{ACTOR}.optim.min_lr_ratio": "worker.actor.optim.min_lr_ratio",
    f"{ACTOR}.use_kl_loss": "algorithm.use_kl_loss",
    f"{ACTOR}.kl_loss_coef": "algorithm.kl_coef",
    f"{ACTOR}.kl_loss_type": "algorithm.kl_penalty",
    "algorithm.adv_estimator": "algorithm.adv_estimator",
    f"{MODEL}.enable_gradient_checkpointing": "worker.actor.model.enable_gradient_checkpointing",
    "trainer.total_epochs": "trainer.total_epochs",
    "trainer.total_training_steps": "trainer.max_steps",
    "trainer.logger": "trainer.logger",
    "trainer.project_name": "trainer.project_name",
    "trainer.experiment_name": "trainer.experiment_name",
    "trainer.save_freq": "trainer.save_freq",
}
"""Settings of EasyR1 by the setting of verl that has the same value."""

_FIXED: Mapping[str, tuple[Any, str]] = {
    "algorithm.norm_adv_by_std_in_grpo": (True, "scale_rewards"),
    f"{ACTOR}.entropy_coeff": (0.0, "entropy_coef"),
    f"+{ACTOR}.optim.override_optimizer_config.eps": (1e-8, "adam_epsilon"),
    f"{MODEL}.use_liger": (False, "use_liger_kernel"),
}
"""The only value of a setting that EasyR1 lacks, by verl's name, and its name under `trainer`."""

_LOSSES = {"seq-mean-token-mean": "seq", "token-mean": "token"}
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_LOGGERS = ("console", "wandb", "tensorboard")
_BATCHED_TOKENS = 8192
_VAL_BATCH = 512
_VISION = ".*visual.*"


@dataclass(frozen=True)
class Config:
    """The configuration of a run.

    Attributes:
        values: Settings by section, without the paths of files.
        warnings: What EasyR1 does in another way than our trainer, one line each.
    """

    values: Mapping[str, Any]
    warnings: tuple[str, ...]


def build_config(
    data: RecipeData, config: Any, batches: Batches, cluster: Cluster, largest_image: int
) -> Config:
    """The configuration of `verl.trainer.main` of EasyR1 for a GRPO recipe.

    Args:
        data: The prompts of the recipe.
        config: The `trl.GRPOConfig` of `plan_config` for `cluster.launch`.
        batches: The result of `plan_batches`.
        cluster: The machines.
        largest_image: Area of the largest stored image [px squared].

    Raises:
        UserError: a setting that EasyR1 cannot follow; the message names it and what to do.
    """
    recipe = data.recipe
    refuse_settings(recipe, [*common_checks(recipe, ENGINE), *_own_checks(recipe)])
    refuse = ValueRefusal(recipe, ENGINE)
    theirs, warnings = trainer_values(recipe, config, batches, ENGINE)
    for name, (value, ours) in _FIXED.items():
        if theirs[name] != value:
            refuse(ours, getattr(config, ours), (_trl_value(ours),))
    values = {_RENAMED[name]: value for name, value in theirs.items() if name in _RENAMED}
    longest, validates = data.longest_prompt(), bool(data.validation)
    values |= {
        **_model_values(recipe),
        **_precision_values(theirs),
        **_loss_values(refuse, config, theirs, warnings),
        "data.prompt_key": "prompt",
        "data.answer_key": "answer",
        "data.image_key": "images",
        "data.format_prompt": None,
        "data.max_prompt_length": longest,
        "data.shuffle": False,  # the file holds the prompts in the order of the run
        "data.seed": recipe.seed,
        "data.filter_overlong_prompts": False,
        "data.min_pixels": 1,
        "data.max_pixels": largest_image,
        "data.val_batch_size": min(_VAL_BATCH, len(data.validation)) if validates else 1,
        "algorithm.disable_kl": not values["algorithm.use_kl_loss"],
        "worker.rollout.seed": recipe.seed,
        "worker.rollout.limit_images": 1,
        "worker.rollout.tensor_parallel_size": cluster.tensor_parallel,
        "worker.rollout.max_num_batched_tokens": max(
            _BATCHED_TOKENS, longest + config.max_completion_length
        ),
        "worker.rollout.val_override_config": {"n": 1},
        "trainer.logger": [name for name in theirs["trainer.logger"] if name in _LOGGERS],
        "trainer.save_limit": config.save_total_limit or -1,
        "trainer.n_gpus_per_node": cluster.gpus,
        "trainer.nnodes": cluster.nodes,
        "trainer.val_before_train": validates,
        "trainer.val_freq": values["trainer.save_freq"] if validates else -1,
        "trainer.val_generations_to_log": recipe.monitor.samples if validates else 0,
    }
    warnings += _warnings(recipe, config)
    return Config(_nested(values), tuple(warnings))


def _own_checks(recipe: Recipe) -> list[Check]:
    model, lora = recipe.model, recipe.model.lora
    return [
        (
            "model.revision",
            model.revision is not None,
            "download that revision and use its folder as model.source",
        ),
        (
            "model.lora.dropout",
            lora is not None and lora.dropout > 0,
            "EasyR1 has no dropout in adapters; set it to 0",
        ),
        (
            "model.lora.vision",
            lora is not None and lora.vision,
            "EasyR1's vLLM has no adapters in the vision tower; set it to false",
        ),
        (
            "model.lora.alpha",
            lora is not None and lora.alpha != int(lora.alpha),
            "EasyR1 takes an integer",
        ),
    ]


def _model_values(recipe: Recipe) -> dict[str, Any]:
    model = recipe.model
    values: dict[str, Any] = {
        "worker.actor.model.model_path": model_path(model.source),
        "worker.actor.model.trust_remote_code": model.trust_remote_code,
        "worker.actor.model.freeze_vision_tower": model.freeze_vision,
        "worker.actor.padding_free": True,
    }
    if model.lora is None:
        return values
    return values | {
        "worker.actor.model.lora.rank": model.lora.rank,
        "worker.actor.model.lora.alpha": int(model.lora.alpha),
        "worker.actor.model.lora.target_modules": ",".join(model.lora.targets),
        "worker.actor.model.lora.exclude_modules": _VISION,
    }


def _precision_values(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Float32 weights and optimizer; passes in the recipe's precision."""
    short = _DTYPES[theirs[f"{ROLLOUT}.dtype"]]
    values: dict[str, Any] = {"worker.rollout.dtype": short}
    for part in ("actor", "ref"):
        values[f"worker.{part}.fsdp.torch_dtype"] = "fp32"
        values[f"worker.{part}.fsdp.mp_param_dtype"] = short
    return values


def _loss_values(
    refuse: ValueRefusal, config: Any, theirs: Mapping[str, Any], warnings: list[str]
) -> dict[str, Any]:
    mode = _LOSSES.get(theirs[f"{ACTOR}.loss_agg_mode"])
    if mode is None:
        refuse("loss_type", config.loss_type, ("grpo", "dapo"))
    values: dict[str, Any] = {
        "worker.actor.loss_avg_mode": mode,
        "worker.actor.dynamic_batching": mode == "token",
    }
    if mode == "seq":
        warnings.append(
            "trainer.loss_type: EasyR1 weights every micro batch by its number of tokens; TRL "
            "weights all completions alike"
        )
    kind = theirs[f"{ACTOR}.optim.lr_scheduler_type"]
    if kind != "constant":  # the default; EasyR1 before 0.3.3 has no such setting
        values["worker.actor.optim.lr_scheduler_type"] = kind
    return values


def _warnings(recipe: Recipe, config: Any) -> list[str]:
    found = list[str]()
    if not recipe.model.attn.startswith("flash_attention"):
        found.append(
            f"model.attn: EasyR1 always trains with flash_attention_2, not {recipe.model.attn}"
        )
    if config.use_vllm and config.vllm_importance_sampling_correction:
        found.append(
            "trainer.vllm_importance_sampling_correction: EasyR1 does not correct the difference "
            "between vLLM and the trainer; it computes all old probabilities in the trainer"
        )
    if recipe.shared_prefix.enabled and recipe.shared_prefix.policy:
        found.append(
            "shared_prefix.policy: EasyR1 computes every prompt once per completion when it trains"
        )
    return found


def _trl_value(name: str) -> Any:
    return {"scale_rewards": "group", "entropy_coef": 0.0, "adam_epsilon": 1e-8}.get(name, False)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by section, from settings by path."""
    content: dict[str, Any] = {}
    for path, value in sorted(values.items()):
        *sections, name = path.split(".")
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return content
