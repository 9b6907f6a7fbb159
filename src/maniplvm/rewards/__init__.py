"""Verifiable rewards: from a completion and a sample to a score, without torch."""

from maniplvm.rewards.presets import PRESETS, Preset, resolve_preset
from maniplvm.rewards.scoring import Score, score, score_answers, score_batch

__all__ = ["PRESETS", "Preset", "Score", "resolve_preset", "score", "score_answers", "score_batch"]
