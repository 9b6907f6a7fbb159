"""Training: recipes, supervised fine-tuning, and reinforcement learning with verifiable rewards."""

from maniplvm.training.physics_settings import PhysicsSettings
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
from maniplvm.training.run import train
from maniplvm.training.shared_prefix import SharedPrefixSettings

__all__ = [
    "METHODS",
    "DataSettings",
    "MixSettings",
    "ModelSettings",
    "MonitorSettings",
    "PhysicsSettings",
    "Recipe",
    "RewardSettings",
    "SharedPrefixSettings",
    "build_recipe",
    "read_recipe",
    "train",
]
