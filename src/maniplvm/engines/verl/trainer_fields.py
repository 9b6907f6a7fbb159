"""The trainer settings of a recipe (TRL's names) as settings of verl."""

from __future__ import annotations

from typing import Any

from maniplvm.engines.recipes.checks import ValueRefusal, refuse_unmapped
from maniplvm.engines.verl.cluster import Batches
from maniplvm.training.config.recipe import Recipe

Values = dict[str, Any]
"""Settings of verl by their path in its configuration."""

ENGINE = "verl"
ACTOR = "actor_rollout_ref.actor"
ROLLOUT = "actor_rollout_ref.rollout"
MODEL = "actor_rollout_ref.model"

BATCH_FIELDS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_generations",
    "generation_batch_size",
    "steps_per_generation",
    "num_iterations",
    "max_steps",
    "num_train_epochs",
)
"""Fields that `plan_batches` reads."""

MAPPED = (
    *BATCH_FIELDS,
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim"),
    *("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("beta", "epsilon", "epsilon_high", "delta", "loss_type", "scale_rewards", "entropy_coef"),
    *("use_bias_correction_kl", "importance_sampling_level"),
    *("max_completion_length", "temperature", "top_p", "top_k"),
    *(
        "use_vllm",
        "vllm_mode",
        "vllm_gpu_memory_utilization",
        "vllm_importance_sampling_correction",
    ),
    *("vllm_importance_sampling_mode", "vllm_importance_sampling_clip_min"),
    "vllm_importance_sampling_clip_max",
    *("bf16", "fp16", "activation_checkpointing", "gradient_checkpointing", "use_liger_kernel"),
    *("save_steps", "save_total_limit", "report_to", "run_name", "project"),
)
"""Fields whose meaning is kept."""

WITHOUT_EFFECT = (
    *("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout"),
    *("vllm_group_port", "vllm_enable_sleep_mode", "vllm_max_model_length"),
    *("vllm_tensor_parallel_size", "vllm_model_impl", "ds3_gather_for_generation", "use_cache"),
    *("logging_steps", "logging_strategy", "logging_first_step", "logging_nan_inf_filter"),
    *("log_level", "log_level_replica", "log_on_each_node", "log_multimodal", "log_unique_prompts"),
    *("num_completions_to_print", "disable_tqdm", "skip_memory_metrics", "save_on_each_node"),
    *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers"),
    *("dataloader_prefetch_factor", "ddp_find_unused_parameters", "ddp_bucket_cap_mb"),
    *("ddp_broadcast_buffers", "ddp_timeout", "torch_empty_cache_steps", "tf32"),
    *("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "pad_to_multiple_of"),
)
"""Fields that do not change what is learned: servers, logs, data loading, and how memory is used.
verl has its own."""

_LOSSES = {
    "grpo": "seq-mean-token-mean",
    "dapo": "token-mean",
    "dr_grpo": "seq-mean-token-sum-norm",
}
_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")
_NO_DUAL_CLIP = 1e9
_NO_LOWER_BOUND = 1e-9
_REPORTERS = ("wandb", "tensorboard", "trackio")


def trainer_values(
    recipe: Recipe, config: Any, batches: Batches, engine: str = ENGINE
) -> tuple[Values, list[str]]:
    """The settings of verl for the recipe's `trainer`, and warnings about what differs.

    Args:
        recipe: The recipe.
        config: The `trl.GRPOConfig` of `plan_config`, which holds TRL's defaults too.
        batches: The batch sizes.
        engine: Name of the engine, for messages.

    Raises:
        UserError: a setting that verl cannot follow; the message names it and the valid ones.
    """
    refuse_unmapped(recipe, config, {*MAPPED, *WITHOUT_EFFECT}, engine)
    warnings: list[str] = []
    refuse = ValueRefusal(recipe, engine)
    values = {
        **_batch_values(config, batches),
        **_optimizer_values(refuse, config, batches, warnings),
        **_loss_values(refuse, config, warnings),
        **_sampling_values(recipe, config),
        **_precision_values(recipe),
        **_log_values(recipe, config, batches),
    }
    return values, warnings


def _batch_values(config: Any, batches: Batches) -> Values:
    return {
        "data.train_batch_size": batches.prompts,
        f"{ROLLOUT}.n": config.num_generations,
        f"{ACTOR}.ppo_mini_batch_size": batches.mini_batch,
        f"{ACTOR}.ppo_epochs": config.num_iterations,
        f"{ACTOR}.ppo_micro_batch_size_per_gpu": batches.micro_batch,
        f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": batches.micro_batch,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": batches.micro_batch,
        f"{ROLLOUT}.agent.num_workers": min(8, batches.prompts),
        "trainer.total_epochs": 1,  # the file holds the prompts of the whole run
        "trainer.total_training_steps": batches.steps,
    }


def _optimizer_values(
    refuse: ValueRefusal, config: Any, batches: Batches, warnings: list[str]
) -> Values:
    optimizer = str(getattr(config.optim, "value", config.optim))
    if optimizer not in _OPTIMIZERS:
        refuse("optim", optimizer, _OPTIMIZERS)
    if config.weight_decay:
        warnings.append(
            f"trainer.weight_decay: {refuse.engine} also decays biases and norms, which TRL leaves out"
        )
    steps = batches.steps * batches.updates
    return {
        f"{ACTOR}.optim.lr": config.learning_rate,
        f"{ACTOR}.optim.weight_decay": config.weight_decay,
        f"{ACTOR}.optim.betas": [config.adam_beta1, config.adam_beta2],
        f"+{ACTOR}.optim.override_optimizer_config.eps": config.adam_epsilon,
        f"{ACTOR}.optim.clip_grad": config.max_grad_norm,
        f"{ACTOR}.grad_clip": config.max_grad_norm,
        **_schedule_values(refuse, config, batches.steps_of(config.get_warmup_steps(steps))),
    }


def _schedule_values(refuse: ValueRefusal, config: Any, warmup: int) -> Values:
    kind = str(getattr(config.lr_scheduler_type, "value", config.lr_scheduler_type))
    options = dict(config.lr_scheduler_kwargs or {})
    optim = f"{ACTOR}.optim"
    if kind in ("constant", "constant_with_warmup") and not options:
        steps = warmup if kind == "constant_with_warmup" else 0
        return {f"{optim}.lr_scheduler_type": "constant", f"{optim}.lr_warmup_steps": steps}
    values = {f"{optim}.lr_scheduler_type": "cosine", f"{optim}.lr_warmup_steps": warmup}
    if kind == "cosine" and not options:
        return {**values, f"{optim}.min_lr_ratio": 0.0}
    if (
        kind == "cosine_with_min_lr"
        and len(options) == 1
        and options.keys() <= {"min_lr", "min_lr_rate"}
    ):
        ratio = options.get("min_lr_rate", options.get("min_lr", 0.0) / config.learning_rate)
        return {**values, f"{optim}.min_lr_ratio": ratio}
    choices = ("constant", "constant_with_warmup", "cosine", "cosine_with_min_lr")
    return refuse("lr_scheduler_type", kind, choices, "without other lr_scheduler_kwargs")


def _loss_values(refuse: ValueRefusal, config: Any, warnings: list[str]) -> Values:
    if config.loss_type not in _LOSSES:
        refuse("loss_type", config.loss_type, _LOSSES)
    if config.scale_rewards not in ("group", "none", True, False):
        refuse("scale_rewards", config.scale_rewards, ("group", "none"))
    if config.importance_sampling_level != "token":
        refuse("importance_sampling_level", config.importance_sampling_level, ("token",))
    if config.beta and config.use_bias_correction_kl:
        warnings.append(
            f"trainer.use_bias_correction_kl: {refuse.engine}'s KL term has no importance weight; its "
            "gradient is that of use_bias_correction_kl: false"
        )
    high = config.epsilon if config.epsilon_high is None else config.epsilon_high
    values: Values = {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": config.scale_rewards in ("group", True),
        "algorithm.use_kl_in_reward": False,
        f"{ACTOR}.loss_agg_mode": _LOSSES[config.loss_type],
        f"{ACTOR}.clip_ratio": config.epsilon,
        f"{ACTOR}.clip_ratio_low": config.epsilon,
        f"{ACTOR}.clip_ratio_high": high,
        f"{ACTOR}.clip_ratio_c": _NO_DUAL_CLIP if config.delta is None else config.delta,
        f"{ACTOR}.entropy_coeff": config.entropy_coef,
        f"{ACTOR}.use_kl_loss": config.beta > 0,
        f"{ACTOR}.kl_loss_coef": config.beta,
        f"{ACTOR}.kl_loss_type": "low_var_kl",
    }
    if config.loss_type == "dr_grpo":
        values[f"{ACTOR}.loss_scale_factor"] = config.max_completion_length
    return values | _importance_values(refuse, config)


def _importance_values(refuse: ValueRefusal, config: Any) -> Values:
    """The correction for an engine whose log-probabilities differ from those of the trainer."""
    if not (config.use_vllm and config.vllm_importance_sampling_correction):
        return {}
    level, _, constraint = config.vllm_importance_sampling_mode.partition("_")
    low, high = config.vllm_importance_sampling_clip_min, config.vllm_importance_sampling_clip_max
    most = 1e9 if high is None else high
    is_mask = constraint == "mask"
    if low and not is_mask:
        refuse("vllm_importance_sampling_clip_min", low, ("null",), "with truncation")
    bounds = f"{low or _NO_LOWER_BOUND}_{most}" if is_mask else most
    correction = "algorithm.rollout_correction"
    return {f"{correction}.rollout_is": level, f"{correction}.rollout_is_threshold": bounds}


def _sampling_values(recipe: Recipe, config: Any) -> Values:
    values: Values = {
        "data.max_response_length": config.max_completion_length,
        f"{ROLLOUT}.temperature": config.temperature,
        f"{ROLLOUT}.top_p": config.top_p,
        f"{ROLLOUT}.top_k": config.top_k or -1,
    }
    share = recipe.trainer.get("vllm_gpu_memory_utilization")
    if share is not None and config.use_vllm and config.vllm_mode == "colocate":
        values[f"{ROLLOUT}.gpu_memory_utilization"] = share
    return values


def _precision_values(recipe: Recipe) -> Values:
    """Float32 weights and optimizer; passes in the recipe's precision, bfloat16 by default."""
    trainer = recipe.trainer
    if trainer.get("fp16") or (recipe.model.dtype == "float16" and not trainer.get("bf16")):
        dtype, short = "float16", "fp16"
    elif trainer.get("bf16") is False or (
        recipe.model.dtype == "float32" and "bf16" not in trainer
    ):
        dtype, short = "float32", "fp32"
    else:
        dtype, short = "bfloat16", "bf16"
    checkpointing = trainer.get(
        "activation_checkpointing", trainer.get("gradient_checkpointing", True)
    )
    values: Values = {
        f"{ROLLOUT}.dtype": dtype,
        f"{MODEL}.enable_gradient_checkpointing": checkpointing is not False,
        f"{MODEL}.use_liger": bool(trainer.get("use_liger_kernel")),
    }
    for part in (ACTOR, "actor_rollout_ref.ref"):
        values[f"{part}.fsdp_config.model_dtype"] = "fp32"
        values[f"{part}.fsdp_config.dtype"] = dtype
        values[f"+{part}.fsdp_config.mixed_precision"] = {
            "param_dtype": short,
            "reduce_dtype": "fp32",
            "buffer_dtype": "fp32",
        }
    return values


def _log_values(recipe: Recipe, config: Any, batches: Batches) -> Values:
    named = recipe.trainer.get("report_to")
    listed = named if isinstance(named, list) else [named]
    reporters = [name for name in listed if name in _REPORTERS]
    steps = batches.steps * batches.updates
    every = config.save_steps * (steps if config.save_steps < 1 else 1)
    return {
        "trainer.logger": ["console", *reporters],
        "trainer.project_name": recipe.trainer.get("project", "maniplvm"),
        "trainer.experiment_name": recipe.trainer.get("run_name") or recipe.name,
        "trainer.save_freq": max(1, batches.steps_of(every)),
        "trainer.max_actor_ckpt_to_keep": config.save_total_limit,
    }
