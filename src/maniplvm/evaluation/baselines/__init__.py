"""Baselines that look at no picture: what an answer is worth that everybody could give."""

from maniplvm.evaluation.baselines.constant import ConstantBaseline
from maniplvm.evaluation.baselines.nearest_instruction import NearestInstructionBaseline
from maniplvm.evaluation.baselines.random_answers import RandomBaseline
from maniplvm.evaluation.baselines.resolving import BASELINES, PREFIX, resolve_baseline
from maniplvm.evaluation.baselines.teaching import parse_split

__all__ = [
    "BASELINES",
    "PREFIX",
    "ConstantBaseline",
    "NearestInstructionBaseline",
    "RandomBaseline",
    "parse_split",
    "resolve_baseline",
]
