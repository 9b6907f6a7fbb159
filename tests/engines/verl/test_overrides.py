"""Every field of a recipe is mapped to verl, or refused by name."""

from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.verl.cluster import Batches, Cluster, plan_batches
from maniplvm.engines.verl.overrides import build_overrides
from maniplvm.engines.verl.trainer_fields import MAPPED, WITHOUT_EFFECT
from maniplvm.errors import UserError
from maniplvm.models.lora import LANGUAGE_TARGETS
from maniplvm.models.shipped import shipped_folder
from maniplvm.training import ModelSettings, Recipe, RewardSettings, read_recipe
from maniplvm.training.config.trainer_settings import plan_config, trainer_fields
from tests.engines.recipes import recipe

ROOT = Path(__file__).parents[3]
ACTOR, ROLLOUT, MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "model"))


def overrides(own, cluster=None, validates=False, longest=100):
    cluster = cluster or Cluster(gpus=2)
    config = plan_config(own, "grpo", Path("out"), cluster.launch)
    batches = plan_batches(config, cluster, 64, own.where)
    return build_overrides(own, config, batches, cluster, longest, validates)


def values(tmp_path, trainer=None, **changes):
    return overrides(recipe(tmp_path, trainer, **changes)).values


def test_every_setting_of_trl_is_mapped_ignored_or_refused(tmp_path):
    known = set(trainer_fields("grpo"))
    assert set(MAPPED) <= known
    assert set(WITHOUT_EFFECT) <= known
    assert not set(MAPPED) & set(WITHOUT_EFFECT)
    config = plan_config(recipe(tmp_path), "grpo", Path("out"), Cluster(gpus=2).launch)
    others = known - set(MAPPED) - set(WITHOUT_EFFECT)
    tried = 0
    skipped = {"use_cpu", "auto_find_batch_size", "use_transformers_paged"}
    for each in fields(config):
        if each.name not in others or type(each.default) is not bool or each.name in skipped:
            continue
        tried += 1
        with pytest.raises(UserError, match=rf"trainer\.{each.name}: verl has no such setting"):
            values(tmp_path, {each.name: not each.default})
        assert values(tmp_path, {each.name: each.default}) == values(tmp_path)
    assert tried > 20


def test_every_field_of_a_recipe_is_known_to_this_test():
    """A new field of a recipe must be mapped or refused, and then be added here."""
    assert {each.name for each in fields(Recipe)} == {
        *("name", "model", "data", "seed", "prompts", "rewards", "shared_prefix", "monitor"),
        *("trainer", "time_limit_minutes", "launch", "where"),
    }
    assert {each.name for each in fields(ModelSettings)} == {
        *("source", "family", "dtype", "device", "attn", "lora", "adapter", "freeze_vision"),
        *("min_pixels", "max_pixels", "revision", "trust_remote_code"),
    }
    assert {each.name for each in fields(RewardSettings)} == {"preset", "physics"}


def test_one_verl_step_is_one_generation_of_trl(tmp_path):
    own = recipe(tmp_path, {"max_steps": 7, "num_iterations": 2, "steps_per_generation": 4})
    config = plan_config(own, "grpo", Path("out"), Cluster(gpus=2).launch)
    batches = plan_batches(config, Cluster(gpus=2), 64, own.where)
    # 2 GPUs x 4 rows: 8 completions; 2 of them are an update, 4 a generation, each used twice
    assert batches == Batches(prompts=8, mini_batch=4, micro_batch=4, updates=4, steps=2)
    found = overrides(own).values
    assert found["data.train_batch_size"] == 8
    assert found[f"{ACTOR}.ppo_mini_batch_size"] == 4
    assert found[f"{ACTOR}.ppo_epochs"] == 2
    assert found["trainer.total_training_steps"] == 2
    assert found["trainer.save_freq"] == 13  # 50 optimizer steps


def test_more_machines_make_larger_batches(tmp_path):
    own = recipe(tmp_path)
    found = overrides(own, Cluster(gpus=8, nodes=2, tensor_parallel=4)).values
    assert found["data.train_batch_size"] == 8 * 2 * 4 * 2 // 4
    assert (found["trainer.n_gpus_per_node"], found["trainer.nnodes"]) == (8, 2)
    assert found[f"{ROLLOUT}.tensor_model_parallel_size"] == 4


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"learning_rate": 3e-6}, {f"{ACTOR}.optim.lr": 3e-6}),
        ({"temperature": 0.7, "top_p": 0.9, "top_k": 20}, {f"{ROLLOUT}.temperature": 0.7, f"{ROLLOUT}.top_p": 0.9, f"{ROLLOUT}.top_k": 20}),
        ({"loss_type": "dr_grpo"}, {f"{ACTOR}.loss_agg_mode": "seq-mean-token-sum-norm", f"{ACTOR}.loss_scale_factor": 32}),
        ({"loss_type": "grpo"}, {f"{ACTOR}.loss_agg_mode": "seq-mean-token-mean"}),
        ({"loss_type": "dapo"}, {f"{ACTOR}.loss_agg_mode": "token-mean"}),
        ({"epsilon": 0.1, "epsilon_high": 0.3}, {f"{ACTOR}.clip_ratio_low": 0.1, f"{ACTOR}.clip_ratio_high": 0.3}),
        ({"epsilon": 0.1}, {f"{ACTOR}.clip_ratio_high": 0.1, f"{ACTOR}.clip_ratio_c": 1e9}),
        ({"delta": 4.0}, {f"{ACTOR}.clip_ratio_c": 4.0}),
        ({"beta": 0.04}, {f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.kl_loss_coef": 0.04, "algorithm.use_kl_in_reward": False}),
        ({"beta": 0.0}, {f"{ACTOR}.use_kl_loss": False}),
        ({"scale_rewards": "none"}, {"algorithm.norm_adv_by_std_in_grpo": False}),
        ({"scale_rewards": "group"}, {"algorithm.norm_adv_by_std_in_grpo": True}),
        ({"lr_scheduler_type": "cosine", "warmup_steps": 2}, {f"{ACTOR}.optim.lr_scheduler_type": "cosine", f"{ACTOR}.optim.lr_warmup_steps": 2, f"{ACTOR}.optim.min_lr_ratio": 0.0}),
        ({"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}}, {f"{ACTOR}.optim.min_lr_ratio": 0.1}),
        ({"lr_scheduler_type": "constant", "warmup_steps": 2}, {f"{ACTOR}.optim.lr_warmup_steps": 0}),
        ({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 2}, {f"{ACTOR}.optim.lr_warmup_steps": 2}),
        ({"adam_beta2": 0.95, "adam_epsilon": 1e-6}, {f"{ACTOR}.optim.betas": [0.9, 0.95], f"+{ACTOR}.optim.override_optimizer_config.eps": 1e-6}),
        ({"max_grad_norm": 0.5}, {f"{ACTOR}.optim.clip_grad": 0.5, f"{ACTOR}.grad_clip": 0.5}),
        ({"bf16": True}, {f"{ROLLOUT}.dtype": "bfloat16", f"{ACTOR}.fsdp_config.dtype": "bfloat16", f"{ACTOR}.fsdp_config.model_dtype": "fp32"}),
        ({"bf16": False}, {f"{ROLLOUT}.dtype": "float32"}),
        ({"activation_checkpointing": False}, {f"{MODEL}.enable_gradient_checkpointing": False}),
        ({"gradient_checkpointing": True}, {f"{MODEL}.enable_gradient_checkpointing": True}),
        ({"use_vllm": True}, {"algorithm.rollout_correction.rollout_is": "sequence", "algorithm.rollout_correction.rollout_is_threshold": "1e-09_3.0"}),
        ({"use_vllm": True, "vllm_importance_sampling_mode": "token_truncate", "vllm_importance_sampling_clip_max": 2.0}, {"algorithm.rollout_correction.rollout_is": "token", "algorithm.rollout_correction.rollout_is_threshold": 2.0}),
        ({"save_total_limit": 4}, {"trainer.max_actor_ckpt_to_keep": 4}),
        ({"run_name": "other"}, {"trainer.experiment_name": "other"}),
    ],
)  # fmt: skip
def test_a_trainer_setting_keeps_its_meaning(tmp_path, trainer, expected):
    found = values(tmp_path, trainer)
    assert {name: found[name] for name in expected} == expected


def test_the_correction_of_another_engine_is_off_without_one(tmp_path):
    assert not any("rollout_correction" in name for name in values(tmp_path))


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"lr_scheduler_type": "linear"}, "lr_scheduler_type is linear; verl can follow constant, "),
        ({"loss_type": "bnpo"}, "loss_type is bnpo; verl can follow grpo, dapo, dr_grpo"),
        ({"scale_rewards": "batch"}, "scale_rewards is batch"),
        ({"importance_sampling_level": "sequence"}, "importance_sampling_level is sequence"),
        ({"optim": "adafactor"}, "optim is adafactor"),
        ({"min_p": 0.1}, "trainer.min_p: verl has no such setting"),
        ({"repetition_penalty": 1.1}, "trainer.repetition_penalty: verl has no such setting"),
        ({"use_cpu": True}, "trainer.use_cpu: verl trains on GPUs"),
        ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 6}, "12 completions on 2 GPUs, .* num_generations 8|12 completions"),
    ],
)  # fmt: skip
def test_a_trainer_setting_that_verl_cannot_follow_is_refused_by_name(tmp_path, trainer, message):
    if "per_device_train_batch_size" in trainer:
        trainer = {**trainer, "num_generations": 8, "steps_per_generation": 4}
    with pytest.raises(UserError, match=message) as raised:
        values(tmp_path, trainer)
    assert str(raised.value).startswith("recipe.yaml: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": {"physics": {"solved": 1.0}}}, "rewards.physics: "),
        ({"model": {"adapter": "somewhere"}}, "model.adapter: merge it first"),
        ({"model": {"revision": "main"}}, "model.revision: "),
        ({"model": {"device": "cpu"}}, "model.device: "),
        ({"model": {"freeze_vision": True}}, "model.freeze_vision: "),
        ({"model": {"lora": {"dropout": 0.1}}}, "model.lora.dropout: "),
        ({"model": {"lora": {"vision": True, "targets": ["q_proj"]}}}, "model.lora.vision: "),
        ({"time_limit_minutes": 5.0}, "time_limit_minutes: "),
    ],
)
def test_a_field_that_verl_cannot_follow_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(UserError, match=f"recipe.yaml: {message}"):
        values(tmp_path, **changes)


def test_adapters_are_mapped_and_leave_the_vision_tower_alone(tmp_path):
    found = values(tmp_path, model={"lora": {"rank": 8, "alpha": 24}, "freeze_vision": True})
    assert (found[f"{MODEL}.lora_rank"], found[f"{MODEL}.lora_alpha"]) == (8, 24)
    assert found[f"{MODEL}.target_modules"] == list(LANGUAGE_TARGETS)
    assert found[f"{MODEL}.exclude_modules"] == ".*visual.*"
    both = values(tmp_path, model={"lora": {"vision": True}})
    assert both[f"{MODEL}.target_modules"] == "all-linear"
    assert f"{MODEL}.exclude_modules" not in both


def test_packed_rows_need_flash_attention(tmp_path):
    plain = values(tmp_path)
    fast = values(tmp_path, model={"attn": "flash_attention_2"})
    assert plain[f"{MODEL}.use_remove_padding"] is False
    assert fast[f"{MODEL}.use_remove_padding"] is True
    assert fast[f"+{MODEL}.override_config.attn_implementation"] == "flash_attention_2"


def test_what_differs_is_a_warning(tmp_path):
    own = recipe(tmp_path, {"beta": 0.1, "weight_decay": 0.1}, shared_prefix={"enabled": True})
    warnings = "\n".join(overrides(own).warnings)
    for name in ("use_bias_correction_kl", "weight_decay", "shared_prefix", "model.attn"):
        assert name in warnings
    quiet = recipe(tmp_path, shared_prefix={"enabled": False}, model={"attn": "flash_attention_2"})
    assert overrides(quiet).warnings == ()
    assert overrides(quiet).values[f"{ROLLOUT}.enable_prefix_caching"] is False


def test_lengths_seed_and_model(tmp_path):
    found = overrides(recipe(tmp_path, seed=7, model={"source": "embedded"}), longest=300).values
    assert found["data.max_prompt_length"] == 320
    assert found["data.seed"] == found[f"{ROLLOUT}.seed"] == 7
    assert found[f"{MODEL}.path"] == str(shipped_folder().resolve())
    hub = values(tmp_path, model={"source": "Qwen/Qwen2.5-VL-3B-Instruct"})
    assert hub[f"{MODEL}.path"] == "Qwen/Qwen2.5-VL-3B-Instruct"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpus": 0}, "--gpus must be at least 1"),
        ({"rollout": "hf"}, "--rollout hf: choose from vllm, sglang, trtllm"),
        ({"gpus": 6, "tensor_parallel": 4}, "--tensor-parallel 4 does not divide"),
    ],
)
def test_machines_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Cluster(**options)


SHIPPED = sorted((ROOT / "recipes" / "grpo").glob("*.yaml"))


REFUSED = {
    "embedded": "trainer.lr_scheduler_type",
    "paper-qwen2.5-vl-3b-affordance": "trainer.lr_scheduler_type",
    "paper-qwen2.5-vl-3b-trajectory": "trainer.lr_scheduler_type",
    "qwen2.5-vl-3b-joint-full-1gpu": "model.freeze_vision",
    "qwen3-vl-4b-joint-full-1gpu": "model.freeze_vision",
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_mapped_or_refused_with_a_reason(path):
    own = read_recipe(path)
    if path.stem in REFUSED:
        with pytest.raises(UserError, match=f"{path.name}: {REFUSED[path.stem]}"):
            overrides(own, Cluster(gpus=8))
    else:
        found = overrides(own, Cluster(gpus=8))
        assert found.values[f"{ACTOR}.optim.lr"] == own.trainer["learning_rate"]
