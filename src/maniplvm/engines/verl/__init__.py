"""verl: GRPO recipes of this package on verl (Ray, FSDP2), and its checkpoints as plain models."""

VERL_VERSION = "0.9.1"
"""The version of verl whose configuration and checkpoints are supported."""
