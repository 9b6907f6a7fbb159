"""A model behind an OpenAI-compatible server: asked politely, patiently, and never twice."""

from maniplvm.evaluation.predictors.server.connection import DEFAULT_KEY_VARIABLE
from maniplvm.evaluation.predictors.server.family import ServedFamily, served_family
from maniplvm.evaluation.predictors.server.predictor import CONCURRENCY, ServerPredictor
from maniplvm.evaluation.predictors.server.retry_policy import Patience
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
    "Patience",
    "Prices",
    "ServedFamily",
    "ServerPredictor",
    "Usage",
    "record_usage",
    "served_family",
    "sum_usage",
]
