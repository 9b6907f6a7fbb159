"""Training: recipes, supervised fine-tuning, and reinforcement learning with verifiable rewards."""

from maniplvm.training.recipe import (
    METHODS,
    DataSettings,
    MixSettings,
    ModelSettings,
    MonitorSettings,
    Recipe,
    RewardSettings,
    build_recipe,
    read_recipe,
)

__all__ = [
    "METHODS",
    "DataSettings",
    "MixSettings",
    "ModelSettings",
    "MonitorSettings",
    "Recipe",
    "RewardSettings",
    "build_recipe",
    "read_recipe",
]
