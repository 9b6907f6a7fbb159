"""Measuring: predictors, protocols, intervals, physics, and two models side by side."""

from maniplvm.evaluation.baselines import (
    BASELINES,
    ConstantBaseline,
    NearestInstructionBaseline,
    RandomBaseline,
    resolve_baseline,
)
from maniplvm.evaluation.comparison import Comparison, Difference, compare
from maniplvm.evaluation.evaluate import Physics, Selection, evaluate
from maniplvm.evaluation.executing import can_be_executed, execute_answers
from maniplvm.evaluation.intervals import Interval, bootstrap_mean
from maniplvm.evaluation.local_model import ModelPredictor
from maniplvm.evaluation.predictions import (
    Matched,
    Prediction,
    match_predictions,
    read_predictions,
)
from maniplvm.evaluation.predictor import FilePredictor, Predictor
from maniplvm.evaluation.protocols import PROTOCOLS, Habit, Measure, Protocol, Reads, TaskProtocol
from maniplvm.evaluation.rescore import rescore
from maniplvm.evaluation.results import CategoryResult, Evaluation, TaskResult, read_evaluation
from maniplvm.evaluation.scored import Outcome, ScoredSample, read_samples
from maniplvm.evaluation.server_model import Patience, ServerPredictor
from maniplvm.evaluation.summary import TaskSummary, summarise

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
