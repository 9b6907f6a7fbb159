"""Measuring: predictions files, intervals, and summaries of scores."""

from maniplvm.evaluation.intervals import Interval, bootstrap_mean
from maniplvm.evaluation.predictions import (
    Matched,
    Prediction,
    match_predictions,
    read_predictions,
)
from maniplvm.evaluation.summary import TaskSummary, summarise

__all__ = [
    "Interval",
    "Matched",
    "Prediction",
    "TaskSummary",
    "bootstrap_mean",
    "match_predictions",
    "read_predictions",
    "summarise",
]
