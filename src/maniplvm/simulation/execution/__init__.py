"""Does this trace do the task? Traces followed in physics, one by one or by the thousand."""

from maniplvm.simulation.execution.executor import Scenes, execute, follow_trace
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.execution.pool import ExecutionPool, Job, execute_batch
from maniplvm.simulation.execution.reliability import UNRELIABLE_TASKS

__all__ = [
    "UNRELIABLE_TASKS",
    "Execution",
    "ExecutionPool",
    "Job",
    "Reason",
    "Scenes",
    "execute",
    "execute_batch",
    "follow_trace",
]
