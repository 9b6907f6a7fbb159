"""Predictor for a model behind an OpenAI-compatible server, with retries and a rate limit."""

from maniplvm.evaluation.predictors.server.connection import DEFAULT_KEY_VARIABLE
from maniplvm.evaluation.predictors.server.family import ServedFamily, served_family
from maniplvm.evaluation.predictors.server.predictor import CONCURRENCY, ServerPredictor
from maniplvm.evaluation.predictors.server.retries import RetryPolicy
from maniplvm.evaluation.predictors.server.usage import (
    USAGE_FILE,
    Prices,
    Usage,
    record_usage,
    sum_usage,
)

__all__ = [
    "CONCURRENCY",
    "DEFAULT_KEY_VARIABLE",
    "USAGE_FILE",
    "Prices",
    "RetryPolicy",
    "ServedFamily",
    "ServerPredictor",
    "Usage",
    "record_usage",
    "served_family",
    "sum_usage",
]
