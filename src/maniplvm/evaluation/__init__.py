"""Evaluation: predictors, protocols, confidence intervals, execution in simulation, comparisons."""

from maniplvm.evaluation.evaluate import evaluate
from maniplvm.evaluation.execution import ExecutionOptions, can_be_executed, execute_answers
from maniplvm.evaluation.predictors.baselines import (
    BASELINES,
    ConstantBaseline,
    NearestInstructionBaseline,
    RandomBaseline,
    resolve_baseline,
)
from maniplvm.evaluation.predictors.local import ModelPredictor
from maniplvm.evaluation.predictors.predictions import (
    MatchedPredictions,
    Prediction,
    match_predictions,
    read_predictions,
)
from maniplvm.evaluation.predictors.predictor import FilePredictor, Predictor
from maniplvm.evaluation.predictors.server import RetryPolicy, ServerPredictor
from maniplvm.evaluation.protocols import (
    PROTOCOLS,
    AnswerType,
    Measure,
    Outcome,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.evaluation.records import (
    CategoryResult,
    Evaluation,
    ScoredSample,
    TaskResult,
    read_evaluation,
    read_samples,
)
from maniplvm.evaluation.rescore import rescore
from maniplvm.evaluation.selection import Selection
from maniplvm.evaluation.statistics.comparison import Comparison, Difference, compare
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.evaluation.statistics.summary import TaskSummary, summarise

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "AnswerType",
    "CategoryResult",
    "Comparison",
    "ConstantBaseline",
    "Difference",
    "Evaluation",
    "ExecutionOptions",
    "FilePredictor",
    "Interval",
    "MatchedPredictions",
    "Measure",
    "ModelPredictor",
    "NearestInstructionBaseline",
    "Outcome",
    "Prediction",
    "Predictor",
    "Protocol",
    "RandomBaseline",
    "RetryPolicy",
    "ScoredSample",
    "Selection",
    "ServerPredictor",
    "TaskProtocol",
    "TaskResult",
    "TaskSummary",
    "UnreadablePolicy",
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
