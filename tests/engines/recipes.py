"""Recipes and data sets of the export tests."""

import json

from maniplvm.models import write_tiny_checkpoint
from maniplvm.training import build_recipe
from tests.evaluation.scenery import small_set, stored

TRAINER = {
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "num_generations": 4,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 32,
    "lr_scheduler_type": "constant",
    "bf16": False,
}


def scene(folder, family="qwen2_5_vl"):
    """A tiny checkpoint and a small data set with two splits."""
    write_tiny_checkpoint(folder / "model", family)
    stored(folder / "set", small_set(("train", "id_test")))
    return folder


def recipe(folder, trainer=None, **changes):
    settings = {
        "name": "small",
        "model": {"source": str(folder / "model")},
        "data": {"path": str(folder / "set")},
        "trainer": {**TRAINER, **(trainer or {})},
    }
    for name, value in changes.items():
        is_part = isinstance(value, dict) and name in settings
        settings[name] = {**settings[name], **value} if is_part else value
    return build_recipe(settings, "recipe.yaml")


def recipe_file(folder, **changes):
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe(folder, **changes).to_mapping()))
    return path
