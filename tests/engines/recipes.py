"""Recipes and data sets of the export tests."""

import json
from pathlib import Path

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


SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "grpo").glob("*.yaml"))
"""The GRPO recipes of this repository."""


def shipped_changes(path, folders):
    """Changes that give a shipped recipe a tiny model of its family and a small data set."""
    folder = folders["qwen3_vl" if "qwen3" in path.stem else "qwen2_5_vl"]
    return [f"model.source={folder / 'model'}", f"data.path={folder / 'set'}", "data.split=train"]
