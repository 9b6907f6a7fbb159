"""Every field of a recipe is mapped to ms-swift, or refused by name."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.ms_swift.arguments import Machines, argument_words, build_arguments
from maniplvm.engines.ms_swift.reward import reward_names
from maniplvm.engines.ms_swift.rows import PLACEHOLDERS
from maniplvm.engines.ms_swift.trainer_fields import (
    ENGINE,
    MAPPED,
    SAME_NAME,
    WITHOUT_EFFECT,
    trainer_values,
)
from maniplvm.engines.recipes.data import open_recipe_data
from maniplvm.errors import UserError
from maniplvm.models.lora import LANGUAGE_TARGETS
from maniplvm.training import read_recipe
from maniplvm.training.config.trainer_settings import plan_config, trainer_fields
from tests.engines.recipes import SHIPPED, recipe, scene, shipped_changes


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A scene of each family."""
    families = ("qwen2_5_vl", "qwen3_vl")
    return {family: scene(tmp_path_factory.mktemp(family), family) for family in families}


@pytest.fixture(scope="module")
def folder(folders):
    return folders["qwen2_5_vl"]


def built(own, machines=None, val_split=None):
    machines = machines or Machines()
    config = plan_config(own, "grpo", Path("out"), machines.launch)
    data = open_recipe_data(own, ENGINE, val_split, PLACEHOLDERS)
    return build_arguments(data, config, machines, steps=3)


def values(folder, trainer=None, **changes):
    return built(recipe(folder, trainer, **changes)).values


def test_every_setting_of_trl_is_mapped_ignored_or_refused(folder):
    known = set(trainer_fields("grpo"))
    assert set(MAPPED) <= known
    assert set(WITHOUT_EFFECT) <= known
    assert not set(MAPPED) & set(WITHOUT_EFFECT)
    config = plan_config(recipe(folder), "grpo", Path("out"), Machines().launch)
    others = known - set(MAPPED) - set(WITHOUT_EFFECT)
    tried = 0
    for each in fields(config):
        if each.name not in others or type(each.default) is not bool:
            continue
        tried += 1
        message = rf"trainer\.{each.name}: ms-swift has no such setting"
        with pytest.raises(UserError, match=message):
            trainer_values(recipe(folder, {each.name: not each.default}), config, 1, 64)
        same = trainer_values(recipe(folder, {each.name: each.default}), config, 1, 64)
        assert same == trainer_values(recipe(folder), config, 1, 64)
    assert tried > 20


def test_a_setting_with_the_same_name_keeps_its_value(folder):
    """ms-swift's defaults differ from TRL's, so each value is passed even if it is a default."""
    own = recipe(folder)
    config = plan_config(own, "grpo", Path("out"), Machines().launch)
    found = built(own).values
    for name in set(SAME_NAME) - {"report_to"}:
        value = getattr(config, name)
        if value is not None:
            assert found[name] == getattr(value, "value", value), name


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"learning_rate": 3e-6}, {"learning_rate": 3e-6}),
        ({"lr_scheduler_type": "cosine", "warmup_steps": 2}, {"lr_scheduler_type": "cosine", "warmup_steps": 2}),
        ({"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-7}}, {"lr_scheduler_kwargs": {"min_lr": 1e-7}}),
        ({"beta": 0.04}, {"beta": 0.04}),
        ({"epsilon": 0.1, "epsilon_high": 0.3, "delta": 4.0}, {"epsilon": 0.1, "epsilon_high": 0.3, "delta": 4.0}),
        ({"loss_type": "dr_grpo"}, {"loss_type": "dr_grpo"}),
        ({"loss_type": "bnpo"}, {"loss_type": "bnpo"}),
        ({"scale_rewards": "group"}, {"scale_rewards": "group"}),
        ({"scale_rewards": "none"}, {"scale_rewards": "none"}),
        ({"scale_rewards": "batch"}, {"scale_rewards": "batch"}),
        ({"importance_sampling_level": "sequence"}, {"importance_sampling_level": "sequence"}),
        ({"mask_truncated_completions": True}, {"overlong_filter": True}),
        ({"sapo_temperature_pos": 2.0}, {"tau_pos": 2.0}),
        ({"temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.1}, {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.1}),
        ({"top_k": 0}, {"top_k": -1, "min_p": 0.0}),
        ({"num_iterations": 2, "steps_per_generation": 4}, {"num_iterations": 2, "steps_per_generation": 4}),
        ({"activation_checkpointing": False}, {"gradient_checkpointing": False}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": True}),
        ({"bf16": True}, {"bf16": True, "fp16": False}),
        ({"run_name": "other", "save_total_limit": 4}, {"run_name": "other", "save_total_limit": 4}),
        ({}, {"report_to": ["none"], "run_name": "small", "use_vllm": False}),
        ({"use_vllm": True, "vllm_mode": "colocate"}, {"use_vllm": True, "vllm_mode": "colocate", "rollout_importance_sampling_mode": "sequence_mask", "rollout_importance_sampling_threshold": 3.0}),
        ({"use_vllm": True, "vllm_gpu_memory_utilization": 0.4, "vllm_enable_sleep_mode": True}, {"vllm_gpu_memory_utilization": 0.4, "sleep_level": 1}),
        ({"use_vllm": True, "vllm_importance_sampling_mode": "token_truncate", "vllm_importance_sampling_clip_max": 2.0}, {"rollout_importance_sampling_mode": "token_truncate", "rollout_importance_sampling_threshold": 2.0}),
    ],
)  # fmt: skip
def test_a_trainer_setting_keeps_its_meaning(folder, trainer, expected):
    found = values(folder, trainer)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"loss_type": "luspo"}, "loss_type is luspo; ms-swift can follow grpo, dapo, dr_grpo"),
        ({"use_vllm": True, "vllm_importance_sampling_clip_min": 0.5}, "vllm_importance_sampling_clip_min is 0.5"),
        ({"use_cpu": True}, "trainer.use_cpu: ms-swift trains on GPUs"),
        ({"label_smoothing_factor": 0.1}, "trainer.label_smoothing_factor: ms-swift has no such"),
    ],
)  # fmt: skip
def test_a_trainer_setting_that_ms_swift_cannot_follow_is_refused_by_name(folder, trainer, message):
    with pytest.raises(UserError, match=message) as raised:
        values(folder, trainer)
    assert str(raised.value).startswith("recipe.yaml: trainer.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": {"physics": {"solved": 1.0}}}, "rewards.physics: "),
        ({"model": {"adapter": "somewhere"}}, "model.adapter: merge it first"),
        ({"model": {"device": "cpu"}}, "model.device: "),
        ({"model": {"lora": {"vision": True, "targets": ["q_proj"]}}}, "model.lora.vision: "),
        ({"time_limit_minutes": 5.0}, "time_limit_minutes: "),
    ],
)
def test_a_field_that_ms_swift_cannot_follow_is_refused_by_name(folder, changes, message):
    with pytest.raises(UserError, match=f"recipe.yaml: {message}"):
        values(folder, **changes)


def test_the_model_is_mapped(folder):
    found = values(folder, model={"freeze_vision": True, "dtype": "bfloat16", "revision": "v1"})
    assert found["model"] == str((folder / "model").resolve())
    assert (found["model_type"], found["template"]) == ("qwen2_5_vl", "qwen2_5_vl")
    assert (found["freeze_vit"], found["freeze_aligner"], found["tuner_type"]) == (
        True,
        True,
        "full",
    )
    assert (found["torch_dtype"], found["attn_impl"]) == ("bfloat16", "sdpa")
    assert found["model_revision"] == "v1"
    assert "torch_dtype" not in values(folder)


def test_adapters_are_mapped_and_leave_the_vision_tower_alone(folder):
    lora = {"rank": 8, "alpha": 24, "dropout": 0.1}
    found = values(folder, model={"lora": lora})
    assert (found["lora_rank"], found["lora_alpha"], found["lora_dropout"]) == (8, 24, 0.1)
    pattern = re.compile(found["target_regex"])
    for name in LANGUAGE_TARGETS:
        assert pattern.fullmatch(f"model.language_model.layers.0.self_attn.{name}")
    assert not pattern.fullmatch("model.visual.blocks.0.mlp.gate_proj")
    both = values(folder, model={"lora": {"vision": True}})
    assert (both["target_modules"], both["freeze_vit"]) == (["all-linear"], False)


def test_rewards_order_lengths_and_seed(folder):
    found = values(folder, seed=7, rewards={"preset": "dense"}, data={"task": "affordance"})
    assert found["reward_funcs"] == reward_names(
        "dense", recipe(folder, data={"task": "affordance"}).tasks
    )
    assert found["reward_weights"] == [1.0] + [0.0] * (len(found["reward_funcs"]) - 1)
    assert (found["seed"], found["data_seed"], found["max_steps"]) == (7, 7, 3)
    assert found["max_length"] % 64 == 0
    assert not found["dataset_shuffle"]
    assert not found["train_dataloader_shuffle"]
    assert found["strict"]
    assert found["eval_strategy"] == "no"
    validated = built(recipe(folder), val_split="id_test").values
    assert validated["eval_strategy"] == "steps"
    assert validated["num_generations_eval"] == 1


def test_several_gpus_share_the_state_and_keep_the_batch_of_one_gpu(folder):
    own = recipe(folder)
    assert "deepspeed" not in built(own).values
    several = built(own, Machines(gpus=8, nodes=2)).values
    assert several["deepspeed"] == "zero3"
    assert several["per_device_train_batch_size"] == own.trainer["per_device_train_batch_size"]
    assert built(own, Machines(gpus=8, sharding="zero2")).values["deepspeed"] == "zero2"
    assert "deepspeed" not in built(own, Machines(gpus=8, sharding="none")).values


def test_what_differs_is_a_warning(folder):
    trainer = {"beta": 0.1, "use_vllm": True, "vllm_mode": "server"}
    own = recipe(folder, trainer, shared_prefix={"enabled": True})
    warnings = "\n".join(built(own).warnings)
    for name in (
        "use_bias_correction_kl",
        "vllm_mode",
        "importance_sampling_mode",
        "shared_prefix",
    ):
        assert name in warnings
    assert built(recipe(folder, shared_prefix={"enabled": False})).warnings == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpus": 0}, "--gpus must be at least 1"),
        ({"nodes": 0}, "--nodes must be at least 1"),
        ({"sharding": "fsdp"}, "--sharding fsdp: choose from none, zero2, zero3"),
    ],
)
def test_machines_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Machines(**options)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("beta", 0.04, ["--beta", "0.04"]),
        ("strict", True, ["--strict", "true"]),
        ("reward_funcs", ("a", "b/c"), ["--reward_funcs", "a", "b/c"]),
        ("lr_scheduler_kwargs", {"min_lr": 1e-7}, ["--lr_scheduler_kwargs", '{"min_lr": 1e-07}']),
        ("run_name", "it's $HOME", ["--run_name", "it's $HOME"]),
    ],
)
def test_an_argument_is_written_as_words_of_a_shell(name, value, words):
    assert shlex.split(argument_words(name, value)) == words


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_mapped(path, folders):
    own = read_recipe(path, shipped_changes(path, folders))
    assert built(own, Machines(gpus=8)).values["learning_rate"] == own.trainer["learning_rate"]
