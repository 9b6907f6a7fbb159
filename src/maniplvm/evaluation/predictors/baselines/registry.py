"""Baselines by name."""

from __future__ import annotations

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.baselines.fitted import ConstantBaseline, parse_split
from maniplvm.evaluation.predictors.baselines.nearest_instruction import NearestInstructionBaseline
from maniplvm.evaluation.predictors.baselines.random_answers import RandomBaseline
from maniplvm.evaluation.predictors.predictor import Predictor

PREFIX = "baseline:"
BASELINES = ("constant", "constant-per-task", "nearest-instruction", "random")
"""The names that may follow `baseline:`."""


def resolve_baseline(name: str, data: str | None = None, seed: int = 0) -> Predictor:
    """The baseline of that name.

    Args:
        name: Such as `baseline:constant`.
        data: `DIR:SPLIT` to fit to; only `baseline:random` needs none.
        seed: Seed of `baseline:random`.

    Raises:
        UserError: an unknown name (the valid ones are listed), or no split to fit to.
    """
    own = name.removeprefix(PREFIX)
    if own not in BASELINES:
        valid = ", ".join(PREFIX + known for known in BASELINES)
        raise UserError(f"unknown baseline {own!r}; choose from {valid}")
    if own == "random":
        return RandomBaseline(seed)
    if data is None:
        raise UserError(f"{PREFIX}{own} is fitted to data: add --baseline-data DIR:SPLIT")
    split = parse_split(data)
    if own == "nearest-instruction":
        return NearestInstructionBaseline(*split)
    return ConstantBaseline(*split, per_category=own == "constant-per-task")
