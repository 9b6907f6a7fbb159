"""Pretraining of the embedded model from scratch, with auxiliary heads that do not ship."""

from maniplvm.embedded.pretraining.build import build_checkpoint
from maniplvm.embedded.pretraining.config import PretrainingConfig
from maniplvm.embedded.pretraining.dataset import (
    AugmentedExample,
    Example,
    PretrainingDataset,
    VisibleTargets,
)
from maniplvm.embedded.pretraining.trainer import pretrain

__all__ = [
    "AugmentedExample",
    "Example",
    "PretrainingConfig",
    "PretrainingDataset",
    "VisibleTargets",
    "build_checkpoint",
    "pretrain",
]
