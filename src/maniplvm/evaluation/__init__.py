"""Measuring: predictors, protocols, intervals, physics, and two models side by side."""

from maniplvm.evaluation.evaluate import Physics, Selection, evaluate
from maniplvm.evaluation.execution import can_be_executed, execute_answers
from maniplvm.evaluation.predictors.baselines import (
    BASELINES,
    ConstantBaseline,
    NearestInstructionBaseline,
    RandomBaseline,
    resolve_baseline,
)
from maniplvm.evaluation.predictors.local import ModelPredictor
from maniplvm.evaluation.predictors.predictions import (
    Matched,
    Prediction,
    match_predictions,
    read_predictions,
)
from maniplvm.evaluation.predictors.predictor import FilePredictor, Predictor
from maniplvm.evaluation.predictors.server import Patience, ServerPredictor
from maniplvm.evaluation.protocols import PROTOCOLS, Habit, Measure, Protocol, Reads, TaskProtocol
from maniplvm.evaluation.rescore import rescore
from maniplvm.evaluation.results import CategoryResult, Evaluation, TaskResult, read_evaluation
from maniplvm.evaluation.scored import Outcome, ScoredSample, read_samples
from maniplvm.evaluation.statistics.comparison import Comparison, Difference, compare
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.evaluation.statistics.summary import TaskSummary, summarise

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "CategoryResult",
    "Comparison",
    "ConstantBaseline",
    "Difference",
    "Evaluation",
    "FilePredictor",
    "Habit",
    "Interval",
    "Matched",
    "Measure",
    "ModelPredictor",
    "NearestInstructionBaseline",
    "Outcome",
    "Patience",
    "Physics",
    "Prediction",
    "Predictor",
    "Protocol",
    "RandomBaseline",
    "Reads",
    "ScoredSample",
    "Selection",
    "ServerPredictor",
    "TaskProtocol",
    "TaskResult",
    "TaskSummary",
    "bootstrap_mean",
    "can_be_executed",
    "compare",
    "evaluate",
    "execute_answers",
    "match_predictions",
    "read_evaluation",
    "read_predictions",
    "read_samples",
    "rescore",
    "resolve_baseline",
    "summarise",
]
