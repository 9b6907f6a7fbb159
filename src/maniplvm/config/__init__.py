"""Configuration files: from YAML to validated dataclasses. `config.yaml` reads the files."""

from maniplvm.config.messages import unknown_key
from maniplvm.config.settings import ValidatedAs, build, to_mapping, validated

__all__ = ["ValidatedAs", "build", "to_mapping", "unknown_key", "validated"]
