"""Every field of a recipe is mapped to EasyR1's configuration, or refused by name."""

from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.easyr1.config import ENGINE, build_config
from maniplvm.engines.easyr1.rows import PLACEHOLDERS
from maniplvm.engines.recipes.data import open_recipe_data
from maniplvm.engines.verl.cluster import Cluster, plan_batches
from maniplvm.engines.verl.trainer_fields import MAPPED, WITHOUT_EFFECT
from maniplvm.errors import UserError
from maniplvm.models.lora import LANGUAGE_TARGETS
from maniplvm.training import read_recipe
from maniplvm.training.config.trainer_settings import plan_config, trainer_fields
from tests.engines.recipes import SHIPPED, recipe, scene, shipped_changes

TOKEN_MEAN = {"loss_type": "dapo"}
AREA = 64 * 48


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A scene of each family."""
    families = ("qwen2_5_vl", "qwen3_vl")
    return {family: scene(tmp_path_factory.mktemp(family), family) for family in families}


@pytest.fixture(scope="module")
def folder(folders):
    return folders["qwen2_5_vl"]


def built(own, cluster=None, val_split=None):
    cluster = cluster or Cluster(gpus=2)
    config = plan_config(own, "grpo", Path("out"), cluster.launch)
    data = open_recipe_data(own, ENGINE, val_split, PLACEHOLDERS)
    batches = plan_batches(config, cluster, data.pool.order.epoch_length, own.where)
    return build_config(data, config, batches, cluster, AREA)


def flat(content, path=""):
    """Settings by their path, such as `worker.actor.optim.lr`."""
    found = {}
    for name, value in content.items():
        inner = f"{path}{name}"
        if isinstance(value, dict) and inner != "worker.rollout.val_override_config":
            found |= flat(value, f"{inner}.")
        else:
            found[inner] = value
    return found


def values(folder, trainer=None, **changes):
    return flat(built(recipe(folder, trainer, **changes)).values)


def test_the_sections_are_those_of_easyr1(folder):
    content = built(recipe(folder)).values
    assert set(content) == {"data", "algorithm", "worker", "trainer"}
    assert set(content["worker"]) == {"actor", "ref", "rollout"}
    assert content["algorithm"]["adv_estimator"] == "grpo"
    assert (content["data"]["prompt_key"], content["data"]["answer_key"]) == ("prompt", "answer")
    assert content["data"]["image_key"] == "images"
    assert content["data"]["format_prompt"] is None  # the rows hold whole prompts


def test_every_setting_of_trl_is_mapped_ignored_or_refused(folder):
    known = set(trainer_fields("grpo"))
    config = plan_config(recipe(folder), "grpo", Path("out"), Cluster(gpus=2).launch)
    others = known - set(MAPPED) - set(WITHOUT_EFFECT)
    skipped = {"use_cpu", "auto_find_batch_size", "use_transformers_paged"}
    tried = 0
    for each in fields(config):
        if each.name not in others or type(each.default) is not bool or each.name in skipped:
            continue
        tried += 1
        message = rf"trainer\.{each.name}: EasyR1 has no such setting"
        with pytest.raises(UserError, match=message):
            values(folder, {each.name: not each.default})
    assert tried > 20


def test_one_step_is_one_generation_of_trl(folder):
    found = values(folder, {"max_steps": 7, "num_iterations": 2, "steps_per_generation": 4})
    assert found["data.rollout_batch_size"] == 8
    assert found["worker.actor.global_batch_size"] == 4
    assert found["worker.actor.micro_batch_size_per_device_for_update"] == 4
    assert found["worker.actor.ppo_epochs"] == 2
    assert found["trainer.max_steps"] == 2


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"learning_rate": 3e-6}, {"worker.actor.optim.lr": 3e-6}),
        ({"num_generations": 8}, {"worker.rollout.n": 8}),
        ({"temperature": 0.7, "top_p": 0.9, "top_k": 20}, {"worker.rollout.temperature": 0.7, "worker.rollout.top_p": 0.9, "worker.rollout.top_k": 20}),
        ({"max_completion_length": 40}, {"data.max_response_length": 40}),
        ({"loss_type": "grpo"}, {"worker.actor.loss_avg_mode": "seq", "worker.actor.dynamic_batching": False}),
        ({"loss_type": "dapo"}, {"worker.actor.loss_avg_mode": "token", "worker.actor.dynamic_batching": True}),
        ({"epsilon": 0.1, "epsilon_high": 0.3}, {"worker.actor.clip_ratio_low": 0.1, "worker.actor.clip_ratio_high": 0.3}),
        ({"delta": 4.0}, {"worker.actor.clip_ratio_dual": 4.0}),
        ({"beta": 0.04}, {"algorithm.use_kl_loss": True, "algorithm.kl_coef": 0.04, "algorithm.disable_kl": False, "algorithm.kl_penalty": "low_var_kl"}),
        ({"beta": 0.0}, {"algorithm.use_kl_loss": False, "algorithm.disable_kl": True}),
        ({"lr_scheduler_type": "cosine", "warmup_steps": 2}, {"worker.actor.optim.lr_scheduler_type": "cosine", "worker.actor.optim.lr_warmup_steps": 2}),
        ({"max_grad_norm": 0.5}, {"worker.actor.max_grad_norm": 0.5}),
        ({"adam_beta2": 0.95}, {"worker.actor.optim.betas": [0.9, 0.95]}),
        ({"bf16": True}, {"worker.rollout.dtype": "bf16", "worker.actor.fsdp.mp_param_dtype": "bf16", "worker.actor.fsdp.torch_dtype": "fp32"}),
        ({"activation_checkpointing": False}, {"worker.actor.model.enable_gradient_checkpointing": False}),
        ({"save_total_limit": 4, "run_name": "other"}, {"trainer.save_limit": 4, "trainer.experiment_name": "other"}),
    ],
)  # fmt: skip
def test_a_trainer_setting_keeps_its_meaning(folder, trainer, expected):
    found = values(folder, {**TOKEN_MEAN, **trainer})
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"loss_type": "dr_grpo"}, "loss_type is dr_grpo; EasyR1 can follow grpo, dapo; set one"),
        ({"scale_rewards": "none"}, "scale_rewards is none; EasyR1 can follow group"),
        ({"entropy_coef": 0.1}, "entropy_coef is 0.1; EasyR1 can follow 0.0"),
        ({"adam_epsilon": 1e-6}, "adam_epsilon is 1e-06; EasyR1 can follow 1e-08"),
        ({"use_liger_kernel": True}, "use_liger_kernel is True; EasyR1 can follow False"),
        ({"lr_scheduler_type": "linear"}, "lr_scheduler_type is linear; EasyR1 can follow"),
        ({"min_p": 0.1}, "trainer.min_p: EasyR1 has no such setting"),
        ({"use_cpu": True}, "trainer.use_cpu: EasyR1 trains on GPUs"),
    ],
)
def test_a_trainer_setting_that_easyr1_cannot_follow_is_refused_by_name(folder, trainer, message):
    with pytest.raises(UserError, match=message) as raised:
        values(folder, {**TOKEN_MEAN, **trainer})
    assert str(raised.value).startswith("recipe.yaml: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": {"physics": {"solved": 1.0}}}, "rewards.physics: "),
        ({"model": {"adapter": "somewhere"}}, "model.adapter: merge it first"),
        ({"model": {"revision": "main"}}, "model.revision: "),
        ({"model": {"device": "cpu"}}, "model.device: "),
        ({"model": {"lora": {"dropout": 0.1}}}, "model.lora.dropout: "),
        ({"model": {"lora": {"vision": True}}}, "model.lora.vision: "),
        ({"model": {"lora": {"alpha": 1.5}}}, "model.lora.alpha: "),
        ({"time_limit_minutes": 5.0}, "time_limit_minutes: "),
    ],
)
def test_a_field_that_easyr1_cannot_follow_is_refused_by_name(folder, changes, message):
    with pytest.raises(UserError, match=f"recipe.yaml: {message}"):
        built(recipe(folder, TOKEN_MEAN, **changes))


def test_the_model_and_adapters_are_mapped(folder):
    found = values(folder, model={"freeze_vision": True, "lora": {"rank": 8, "alpha": 24}})
    assert found["worker.actor.model.model_path"] == str((folder / "model").resolve())
    assert found["worker.actor.model.freeze_vision_tower"] is True
    assert found["worker.actor.model.lora.rank"] == 8
    assert found["worker.actor.model.lora.alpha"] == 24
    assert found["worker.actor.model.lora.target_modules"] == ",".join(LANGUAGE_TARGETS)
    assert found["worker.actor.model.lora.exclude_modules"] == ".*visual.*"
    assert not any(".lora." in name for name in values(folder))


def test_machines_images_validation_and_seed(folder):
    own = recipe(folder, seed=7)
    found = flat(built(own, Cluster(gpus=8, nodes=2, tensor_parallel=4), "id_test").values)
    assert (found["trainer.n_gpus_per_node"], found["trainer.nnodes"]) == (8, 2)
    assert found["worker.rollout.tensor_parallel_size"] == 4
    assert (found["data.seed"], found["worker.rollout.seed"]) == (7, 7)
    assert (found["data.min_pixels"], found["data.max_pixels"]) == (1, AREA)
    assert (found["data.shuffle"], found["worker.rollout.limit_images"]) == (False, 1)
    assert found["trainer.val_before_train"] is True
    assert found["trainer.val_freq"] == found["trainer.save_freq"]
    assert found["worker.rollout.val_override_config"] == {"n": 1}
    without = values(folder)
    assert (without["trainer.val_before_train"], without["trainer.val_freq"]) == (False, -1)


def test_what_differs_is_a_warning(folder):
    trainer = {"beta": 0.1, "use_vllm": True, "weight_decay": 0.1, "loss_type": "grpo"}
    own = recipe(folder, trainer, shared_prefix={"enabled": True})
    warnings = "\n".join(built(own).warnings)
    names = ("weight_decay", "use_bias_correction_kl", "loss_type", "model.attn", "shared_prefix")
    for name in (*names, "vllm_importance_sampling_correction"):
        assert name in warnings
    quiet = recipe(
        folder,
        TOKEN_MEAN,
        shared_prefix={"enabled": False},
        model={"attn": "flash_attention_2"},
    )
    assert built(quiet).warnings == ()


FOLLOWED = [
    "trainer.loss_type=dapo",
    "trainer.lr_scheduler_type=cosine",
    "trainer.lr_scheduler_kwargs={}",
]
"""The changes after which EasyR1 can follow the shipped recipes."""
SCHEDULES = ("embedded", "paper-qwen2.5-vl-3b-affordance", "paper-qwen2.5-vl-3b-trajectory")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_refused_with_a_reason_and_mapped_after_its_advice(path, folders):
    changes = shipped_changes(path, folders)
    reason = "lr_scheduler_type is" if path.stem in SCHEDULES else "loss_type is dr_grpo"
    with pytest.raises(UserError, match=f"{path.name}: trainer.{reason}"):
        built(read_recipe(path, changes), Cluster(gpus=8))
    own = read_recipe(path, [*changes, *FOLLOWED])
    found = flat(built(own, Cluster(gpus=8)).values)
    assert found["worker.actor.optim.lr"] == own.trainer["learning_rate"]
