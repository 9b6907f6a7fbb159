"""Baselines by name."""

from __future__ import annotations

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.baselines.constant import ConstantBaseline
from maniplvm.evaluation.predictors.baselines.fitted import parse_split
from maniplvm.evaluation.predictors.baselines.nearest_instruction import NearestInstructionBaseline
from maniplvm.evaluation.predictors.baselines.random_answers import RandomBaseline
from maniplvm.evaluation.predictors.predictor import Predictor

PREFIX = "baseline:"
BASELINES = ("constant", "constant-per-task", "nearest-instruction", "random")
"""What may stand after `baseline:`."""


def resolve_baseline(name: str, data: str | None = None, seed: int = 0) -> Predictor:
    """The baseline of that name.

    Args:
        name: Such as `baseline:constant`.
        data: `DIR:SPLIT` that teaches; only `baseline:random` needs none.
        seed: Of `baseline:random`.

    Raises:
        UserError: there is none; the valid ones are listed. Or its teaching split is not named.
    """
    own = name.removeprefix(PREFIX)
    if own not in BASELINES:
        valid = ", ".join(PREFIX + known for known in BASELINES)
        raise UserError(f"unknown baseline {own!r}; choose from {valid}")
    if own == "random":
        return RandomBaseline(seed)
    if data is None:
        raise UserError(
            f"{PREFIX}{own} learns its answers from data: add --baseline-data DIR:SPLIT"
        )
    taught = parse_split(data)
    if own == "nearest-instruction":
        return NearestInstructionBaseline(*taught)
    return ConstantBaseline(*taught, per_category=own == "constant-per-task")
