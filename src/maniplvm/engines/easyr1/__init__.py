"""EasyR1: GRPO recipes of this package on `verl.trainer.main` of EasyR1, a fork of verl."""

EASYR1_VERSION = "0.3.3.dev0"
"""The version of EasyR1 whose documented files are supported."""
