import pytest

from maniplvm.errors import UserError
from maniplvm.training.config.trainer_settings import build_config
from maniplvm.training.loop.schedule import schedule


@pytest.fixture
def config(lesson, tmp_path):
    def build(method, **trainer):
        return build_config(lesson.recipe(method, trainer), method, tmp_path, on_cpu=True)

    return build


def test_on_a_cpu_nothing_is_set_that_a_cpu_is_slow_at(config):
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
    ("trainer", "says"),
    [
        ({"max_step": 3}, "unknown key 'max_step'; did you mean max_steps"),
        ({"output_dir": "x"}, "trainer.output_dir: remove it; the run folder is --out"),
        ({"seed": 1}, "the recipe's own key seed"),
        ({"eval_strategy": "steps"}, "maniplvm evaluate"),
        ({"learning_rate": "fast"}, "trainer.learning_rate: expected a number, got 'fast'"),
        ({"num_generations": 2.5}, "expected a whole number"),
        ({"num_generations": 3}, "must be divisible by num_generations"),
        ({"lr_scheduler_type": "zigzag"}, "zigzag"),
        ({"report_to": "wanda"}, "choose from trackio, wandb, tensorboard, none"),
        ({"report_to": ["wandb"]}, "wandb is not installed: pip install wandb"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_file_and_key(config, trainer, says, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        config("grpo", **trainer)
    assert says in str(caught.value)
    assert str(caught.value).startswith("practice.yaml: trainer")
    assert "\n" not in str(caught.value)


def test_a_field_of_the_other_method_is_unknown(config):
    with pytest.raises(UserError, match="unknown key 'num_generations'"):
        config("sft", num_generations=4)


@pytest.mark.parametrize(
    ("trainer", "steps", "prompts", "at_once"),
    [
        ({"max_steps": 5}, 5, 10, 2),
        ({"max_steps": -1, "num_train_epochs": 2}, 24, 48, 2),
        ({"max_steps": 6, "gradient_accumulation_steps": 3}, 6, 36, 6),
        ({"max_steps": 6, "num_iterations": 3}, 6, 4, 2),
        ({"max_steps": 8, "steps_per_generation": 4}, 8, 16, 8),
        ({"max_steps": 5, "steps_per_generation": 4}, 5, 16, 8),
    ],
)
def test_a_grpo_run_draws_as_many_prompts_as_its_steps_need(
    config, trainer, steps, prompts, at_once
):
    plan = schedule(config("grpo", **trainer), "grpo", 24)
    assert (plan.steps, plan.prompts, plan.prompts_at_once) == (steps, prompts, at_once)


def test_an_sft_run_sees_every_sample_once_an_epoch(config):
    plan = schedule(config("sft", max_steps=-1, num_train_epochs=3), "sft", 24)
    assert (plan.steps, plan.prompts) == (18, 72)
