"""docs/training.md shows a recipe that is one, and thresholds and defaults that hold."""

import re
from pathlib import Path

import yaml

from maniplvm.config.yaml import parse_yaml
from maniplvm.training import build_recipe
from maniplvm.training.config.trainer_settings import build_config, check_trainer
from maniplvm.training.loop import health_checks

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_recipe_on_the_page_is_a_whole_one():
    shown = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    settings = parse_yaml(shown.group(1))
    recipe = build_recipe(settings, "page")
    assert set(settings) == set(recipe.to_mapping()), "the page shows every section"
    check_trainer(recipe, "grpo")


def test_the_thresholds_on_the_page_are_those_of_the_health_checks():
    assert f"{health_checks.MAX_ZERO_STD_GROUPS:.0%}".replace("%", " %") in PAGE
    assert f"by {health_checks.MAX_PARSE_RATE_DROP * 100:.0f} points" in PAGE
    assert (health_checks.MAX_KL, health_checks.MIN_ANSWER_DIVERSITY, health_checks.WINDOW) == (
        1.0,
        0.25,
        10,
    )


def test_the_defaults_on_the_page_are_those_of_a_run(tmp_path):
    smallest = yaml.safe_load("{name: a, model: {source: a}, data: {path: a}}")
    settings = build_config(build_recipe(smallest, "page"), "sft", tmp_path, on_cpu=True)
    assert not settings.bf16
    assert not settings.activation_checkpointing
    assert settings.max_length is None
    assert not settings.logging_nan_inf_filter
    assert (settings.logging_steps, settings.save_steps, settings.save_total_limit) == (1, 50, 1)
    assert settings.report_to == []
    assert not settings.ddp_find_unused_parameters
