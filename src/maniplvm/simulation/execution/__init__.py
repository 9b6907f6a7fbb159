"""Execution in physics: follows predicted traces, and runs the push test for predicted boxes."""

from maniplvm.simulation.execution.executor import (
    UNRELIABLE_TASKS,
    Execution,
    Reason,
    SceneCache,
    execute,
    follow_trace,
)
from maniplvm.simulation.execution.pool import (
    ExecutionJob,
    ExecutionPool,
    PushTestJob,
    execute_batch,
)
from maniplvm.simulation.execution.push_test import PushOutcome, PushTestResult, run_push_test

__all__ = [
    "UNRELIABLE_TASKS",
    "Execution",
    "ExecutionJob",
    "ExecutionPool",
    "PushOutcome",
    "PushTestJob",
    "PushTestResult",
    "Reason",
    "SceneCache",
    "execute",
    "execute_batch",
    "follow_trace",
    "run_push_test",
]
