"""The trainer settings of a recipe (TRL's names) as arguments of `swift rlhf`."""

from __future__ import annotations

from typing import Any

from maniplvm.engines.recipes.checks import ValueRefusal, refuse_unmapped
from maniplvm.training.config.recipe import Recipe

Values = dict[str, Any]
"""Arguments of `swift rlhf` by their names."""

ENGINE = "ms-swift"

SAME_NAME = (
    *("gradient_accumulation_steps", "num_generations", "steps_per_generation", "num_iterations"),
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim"),
    *("optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("beta", "epsilon", "epsilon_high", "delta", "loss_type", "importance_sampling_level"),
    *("max_completion_length", "temperature", "top_p", "repetition_penalty"),
    *("top_entropy_quantile", "sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"),
    *("bf16", "fp16", "use_liger_kernel", "save_steps", "save_total_limit", "logging_steps"),
    *("logging_first_step", "logging_nan_inf_filter", "neftune_noise_alpha", "report_to"),
)
"""Fields that ms-swift has under the same name; each is passed, because defaults differ."""

_RENAMED = {
    "mask_truncated_completions": "overlong_filter",
    "sapo_temperature_pos": "tau_pos",
    "sapo_temperature_neg": "tau_neg",
}

_VLLM = (
    *("use_vllm", "vllm_mode", "vllm_gpu_memory_utilization", "vllm_tensor_parallel_size"),
    *("vllm_enable_sleep_mode", "vllm_structured_outputs_regex", "vllm_max_model_length"),
    *("vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
    *("vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max"),
)

MAPPED = (
    *SAME_NAME,
    *_RENAMED,
    *_VLLM,
    *("per_device_train_batch_size", "generation_batch_size", "max_steps", "num_train_epochs"),
    *("scale_rewards", "top_k", "min_p", "use_bias_correction_kl", "run_name", "project"),
    *("activation_checkpointing", "gradient_checkpointing", "gradient_checkpointing_kwargs"),
    "activation_checkpointing_kwargs",
)
"""Fields whose meaning is kept."""

WITHOUT_EFFECT = (
    *("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout"),
    *("vllm_group_port", "vllm_model_impl", "ds3_gather_for_generation", "use_cache"),
    *("logging_strategy", "log_level", "log_level_replica", "log_on_each_node", "log_multimodal"),
    *("log_unique_prompts", "num_completions_to_print", "disable_tqdm", "skip_memory_metrics"),
    *("save_on_each_node", "dataloader_num_workers", "dataloader_pin_memory"),
    *("dataloader_persistent_workers", "dataloader_prefetch_factor", "ddp_timeout"),
    *("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers"),
    *("torch_empty_cache_steps", "tf32", "pad_to_multiple_of"),
)
"""Fields that do not change what is learned: servers, logs, data loading, and how memory is used.
ms-swift has its own."""

_LOSSES = ("grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo")
_SCALES = {"group": "group", "batch": "batch", "none": "none", True: "group", False: "none"}
_REPORTERS = ("wandb", "tensorboard")


def trainer_values(
    recipe: Recipe, config: Any, processes: int, longest_prompt: int
) -> tuple[Values, list[str]]:
    """The arguments of `swift rlhf` for the recipe's `trainer`, and warnings about what differs.

    Args:
        recipe: The recipe.
        config: The `trl.GRPOConfig` of `plan_config`, which holds TRL's defaults too.
        processes: Number of GPUs on all machines.
        longest_prompt: Length of the longest prompt with its image [tokens].

    Raises:
        UserError: a setting that ms-swift cannot follow; the message names it and the valid ones.
    """
    refuse_unmapped(recipe, config, {*MAPPED, *WITHOUT_EFFECT}, ENGINE)
    refuse = ValueRefusal(recipe, ENGINE)
    if config.loss_type not in _LOSSES:
        refuse("loss_type", config.loss_type, _LOSSES)
    if config.scale_rewards not in _SCALES:
        refuse("scale_rewards", config.scale_rewards, ("group", "batch", "none"))
    values: Values = {name: _plain(getattr(config, name)) for name in SAME_NAME}
    values |= {theirs: getattr(config, ours) for ours, theirs in _RENAMED.items()}
    values |= {
        # `plan_config` counts the rows of all processes
        "per_device_train_batch_size": config.per_device_train_batch_size // processes,
        "scale_rewards": _SCALES[config.scale_rewards],
        "top_k": config.top_k or -1,
        "min_p": config.min_p or 0.0,
        "gradient_checkpointing": _checkpointing(recipe),
        "gradient_checkpointing_kwargs": config.activation_checkpointing_kwargs
        or config.gradient_checkpointing_kwargs,
        "report_to": _reporters(recipe),
        "run_name": recipe.trainer.get("run_name") or recipe.name,
        "project": recipe.trainer.get("project", "maniplvm"),
    }
    warnings = []
    if config.beta and config.use_bias_correction_kl:
        warnings.append(
            "trainer.use_bias_correction_kl: ms-swift's KL term has no importance weight; it is "
            "that of use_bias_correction_kl: false"
        )
    values |= _vllm_values(recipe, config, longest_prompt, warnings)
    return {name: value for name, value in values.items() if value is not None}, warnings


def _vllm_values(recipe: Recipe, config: Any, longest_prompt: int, warnings: list[str]) -> Values:
    if not config.use_vllm:
        return {"use_vllm": False}
    if config.vllm_mode == "server":
        warnings.append(
            "trainer.vllm_mode: the exported run generates on the GPUs that train (colocate), so "
            "it needs no server"
        )
    length = longest_prompt + config.max_completion_length
    values: Values = {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": config.vllm_gpu_memory_utilization,
        "vllm_tensor_parallel_size": config.vllm_tensor_parallel_size,
        "vllm_max_model_len": config.vllm_max_model_length or length,
        "vllm_enable_prefix_caching": recipe.shared_prefix.enabled and recipe.shared_prefix.rollout,
        "sleep_level": 1 if config.vllm_enable_sleep_mode else 0,
        "structured_outputs_regex": config.vllm_structured_outputs_regex,
    }
    if not config.vllm_importance_sampling_correction:
        return values
    mode, high = config.vllm_importance_sampling_mode, config.vllm_importance_sampling_clip_max
    low = config.vllm_importance_sampling_clip_min
    if low is not None:
        ValueRefusal(recipe, ENGINE)("vllm_importance_sampling_clip_min", low, ("null",))
    if mode.startswith("sequence"):
        warnings.append(
            f"trainer.vllm_importance_sampling_mode: {mode} compares the geometric mean of the "
            "tokens' ratios in ms-swift, and their product in TRL; token_mask and token_truncate "
            "are the same in both"
        )
    return values | {
        "rollout_importance_sampling_mode": mode,
        "rollout_importance_sampling_threshold": 1e9 if high is None else high,
    }


def _checkpointing(recipe: Recipe) -> bool:
    trainer = recipe.trainer
    given = trainer.get("activation_checkpointing", trainer.get("gradient_checkpointing", True))
    return given is not False


def _reporters(recipe: Recipe) -> Any:
    named = recipe.trainer.get("report_to")
    listed = named if isinstance(named, list) else [named]
    return [name for name in listed if name in _REPORTERS] or ["none"]


def _plain(value: Any) -> Any:
    """The value of an enumeration of transformers, or the value itself."""
    return getattr(value, "value", value)
