import dataclasses

import pytest

from maniplvm.errors import UserError
from maniplvm.training.config.launch import Launch
from maniplvm.training.config.trainer_settings import (
    build_config,
    compute_schedule,
    plan_config,
    targets_gpu,
)
from maniplvm.training.dry_run.plan import memory_settings


@pytest.fixture
def config(tiny_setup, tmp_path):
    def build(method, **trainer):
        return build_config(tiny_setup.recipe(method, trainer), method, tmp_path, on_cpu=True)

    return build


def test_on_a_cpu_nothing_is_enabled_that_is_slow_on_a_cpu(config):
    settings = config("grpo")
    assert settings.use_cpu
    assert not settings.bf16
    assert not settings.gradient_checkpointing
    assert settings.report_to == []


def test_the_recipe_wins_over_every_default(config):
    settings = config("grpo", gradient_checkpointing=True, logging_steps=7, beta=0.04)
    assert settings.gradient_checkpointing
    assert (settings.logging_steps, settings.beta) == (7, 0.04)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"max_step": 3}, "unknown key 'max_step'; did you mean max_steps"),
        ({"output_dir": "x"}, "trainer.output_dir: remove it; the run folder is --out"),
        ({"seed": 1}, "the recipe's own key seed"),
        ({"eval_strategy": "steps"}, "maniplvm evaluate"),
        ({"learning_rate": "fast"}, "trainer.learning_rate: expected a number, got 'fast'"),
        ({"num_generations": 2.5}, "expected an integer"),
        ({"num_generations": 3}, "must be divisible by num_generations"),
        ({"lr_scheduler_type": "zigzag"}, "zigzag"),
        ({"report_to": "wanda"}, "choose from trackio, wandb, tensorboard, none"),
        ({"report_to": ["wandb"]}, "wandb is not installed: pip install wandb"),
        ({"bf16": "false"}, "trainer.bf16: expected a boolean"),
        (
            {"gradient_checkpointing": True, "activation_checkpointing": False},
            "trainer.gradient_checkpointing: remove it; it is the old name of activation_check",
        ),
    ],
)
def test_a_bad_setting_is_one_line_that_names_file_and_key(config, trainer, message, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        config("grpo", **trainer)
    assert message in str(caught.value)
    assert str(caught.value).startswith("tiny.yaml: trainer")
    assert "\n" not in str(caught.value)


def test_a_field_of_the_other_method_is_unknown(config):
    with pytest.raises(UserError, match="unknown key 'num_generations'"):
        config("sft", num_generations=4)


@pytest.mark.parametrize(
    ("trainer", "steps", "prompts", "batch"),
    [
        ({"max_steps": 5}, 5, 10, 2),
        ({"max_steps": -1, "num_train_epochs": 2}, 24, 48, 2),
        ({"max_steps": 6, "gradient_accumulation_steps": 3}, 6, 36, 6),
        ({"max_steps": 6, "num_iterations": 3}, 6, 4, 2),
        ({"max_steps": 8, "steps_per_generation": 4}, 8, 16, 8),
        ({"max_steps": 5, "steps_per_generation": 4}, 5, 16, 8),
    ],
)
def test_a_grpo_run_draws_as_many_prompts_as_its_steps_need(config, trainer, steps, prompts, batch):
    plan = compute_schedule(config("grpo", **trainer), "grpo", 24)
    assert (plan.steps, plan.prompts, plan.prompts_per_batch) == (steps, prompts, batch)


def test_an_sft_run_sees_every_sample_once_an_epoch(config):
    plan = compute_schedule(config("sft", max_steps=-1, num_train_epochs=3), "sft", 24)
    assert (plan.steps, plan.prompts) == (18, 72)


GPU = {"model": {"device": "auto", "dtype": "bfloat16"}}
COMPARED = (
    "bf16",
    "fp16",
    "activation_checkpointing",
    "gradient_checkpointing",
    "optim",
    "learning_rate",
    "max_length",
    "save_steps",
    "logging_steps",
    "seed",
)


@pytest.mark.parametrize(
    "trainer",
    [
        {},
        {"bf16": True},
        {"fp16": False},
        {"activation_checkpointing": True},
        {"gradient_checkpointing": True},
        {"optim": "sgd", "learning_rate": 1e-4, "save_steps": 7, "max_length": 99},
    ],
)
def test_a_dry_run_on_the_cpu_resolves_every_field_as_the_run_does(tiny_setup, tmp_path, trainer):
    recipe = tiny_setup.recipe("sft", {**trainer, "use_cpu": True})
    run = build_config(recipe, "sft", tmp_path, on_cpu=True)
    planned = plan_config(recipe, "sft", tmp_path, Launch())
    differing = {
        field.name
        for field in dataclasses.fields(run)
        if getattr(run, field.name) != getattr(planned, field.name)
    }
    assert differing <= {"accelerator_config"}
    assert {getattr(run, name) == getattr(planned, name) for name in COMPARED} == {True}


@pytest.mark.parametrize(
    ("trainer", "bf16", "fp16"),
    [
        ({}, True, False),
        ({"bf16": True}, True, False),
        ({"bf16": False}, False, False),
        ({"fp16": False}, True, False),
        ({"fp16": True}, False, True),
        ({"fp16": False, "bf16": False}, False, False),
    ],
)
def test_the_plan_for_a_gpu_has_the_precision_of_the_recipe(
    tiny_setup, tmp_path, trainer, bf16, fp16
):
    recipe = tiny_setup.recipe("grpo", trainer, **GPU)
    planned = plan_config(recipe, "grpo", tmp_path, Launch())
    assert (planned.bf16, planned.fp16) == (bf16, fp16)


@pytest.mark.parametrize("name", ["activation_checkpointing", "gradient_checkpointing"])
@pytest.mark.parametrize("value", [True, False])
def test_the_plan_reads_checkpointing_under_its_present_and_its_old_name(
    tiny_setup, tmp_path, name, value
):
    recipe = tiny_setup.recipe("sft", {name: value}, **GPU)
    planned = plan_config(recipe, "sft", tmp_path, Launch())
    assert planned.activation_checkpointing is value


@pytest.mark.parametrize(
    ("trainer", "is_mixed"),
    [({"fp16": False, "bf16": False}, False), ({"fp16": True}, True), ({"fp16": False}, True)],
)
def test_the_memory_plan_counts_mixed_precision_only_if_the_run_has_it(
    tiny_setup, tmp_path, trainer, is_mixed
):
    recipe = tiny_setup.recipe("grpo", trainer, **GPU)
    planned = plan_config(recipe, "grpo", tmp_path, Launch())
    assert memory_settings(recipe, "grpo", planned, Launch()).autocast is is_mixed


def test_fp16_false_alone_does_not_make_a_recipe_one_for_gpus(tiny_setup, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    auto = {"model": {"device": "auto", "dtype": "auto"}}
    assert not targets_gpu(tiny_setup.recipe("grpo", {"fp16": False}, **auto))
    assert targets_gpu(tiny_setup.recipe("grpo", {"fp16": True}, **auto))


def test_the_plan_counts_the_batch_of_all_processes(tiny_setup, tmp_path):
    planned = plan_config(tiny_setup.recipe("grpo"), "grpo", tmp_path, Launch(4))
    assert planned.per_device_train_batch_size == 4 * 8
