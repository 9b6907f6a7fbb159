"""Baselines that look at no image: what an answer is worth that everybody could give."""

from maniplvm.evaluation.predictors.baselines.constant import ConstantBaseline
from maniplvm.evaluation.predictors.baselines.fitted import parse_split
from maniplvm.evaluation.predictors.baselines.nearest_instruction import NearestInstructionBaseline
from maniplvm.evaluation.predictors.baselines.random_answers import RandomBaseline
from maniplvm.evaluation.predictors.baselines.resolving import BASELINES, PREFIX, resolve_baseline

__all__ = [
    "BASELINES",
    "PREFIX",
    "ConstantBaseline",
    "NearestInstructionBaseline",
    "RandomBaseline",
    "parse_split",
    "resolve_baseline",
]
