"""A model behind an OpenAI-compatible server: asked politely, patiently, and never twice."""

from maniplvm.evaluation.server_model.connection import DEFAULT_KEY_VARIABLE
from maniplvm.evaluation.server_model.family import ServedFamily, served_family
from maniplvm.evaluation.server_model.patience import Patience
from maniplvm.evaluation.server_model.predictor import CONCURRENCY, ServerPredictor
from maniplvm.evaluation.server_model.usage import (
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
