"""Does this trace do the task, does this touch help? Asked of physics, once or by the thousand."""

from maniplvm.simulation.execution.executor import Scenes, execute, follow_trace
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.execution.pool import ExecutionPool, Job, TouchJob, execute_batch
from maniplvm.simulation.execution.push_test import Contact, Touch, touch_box
from maniplvm.simulation.execution.reliability import UNRELIABLE_TASKS

__all__ = [
    "UNRELIABLE_TASKS",
    "Contact",
    "Execution",
    "ExecutionPool",
    "Job",
    "Reason",
    "Scenes",
    "Touch",
    "TouchJob",
    "execute",
    "execute_batch",
    "follow_trace",
    "touch_box",
]
