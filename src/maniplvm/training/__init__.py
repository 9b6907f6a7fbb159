"""Training: recipes, SFT, and reinforcement learning with verifiable rewards (GRPO)."""

from maniplvm.training.config.physics_settings import PhysicsSettings
from maniplvm.training.config.recipe import (
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
from maniplvm.training.loop.run import train
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
