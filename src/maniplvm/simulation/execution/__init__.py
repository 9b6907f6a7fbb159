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
from maniplvm.simulation.execution.ray_pool import RayExecutionPool, open_execution_pool

__all__ = [
    "UNRELIABLE_TASKS",
    "Execution",
    "ExecutionJob",
    "ExecutionPool",
    "PushOutcome",
    "PushTestJob",
    "PushTestResult",
    "RayExecutionPool",
    "Reason",
    "SceneCache",
    "execute",
    "execute_batch",
    "follow_trace",
    "open_execution_pool",
    "run_push_test",
]
