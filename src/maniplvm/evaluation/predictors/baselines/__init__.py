"""Baselines that use no image: the score that is possible without looking."""

from maniplvm.evaluation.predictors.baselines.fitted import ConstantBaseline, parse_split
from maniplvm.evaluation.predictors.baselines.nearest_instruction import NearestInstructionBaseline
from maniplvm.evaluation.predictors.baselines.random_answers import RandomBaseline
from maniplvm.evaluation.predictors.baselines.registry import BASELINES, PREFIX, resolve_baseline

__all__ = [
    "BASELINES",
    "PREFIX",
    "ConstantBaseline",
    "NearestInstructionBaseline",
    "RandomBaseline",
    "parse_split",
    "resolve_baseline",
]
