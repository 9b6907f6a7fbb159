"""Configuration files: YAML into validated dataclasses. The reader is `config.yaml`."""

from maniplvm.config.messages import unknown_key
from maniplvm.config.settings import CheckedAs, build, to_mapping, validated

__all__ = ["CheckedAs", "build", "to_mapping", "unknown_key", "validated"]
