"""Protocol `execution`, ours: a simulated robot follows the trace; was the task solved?

It measures what was followed: traces of simulated samples whose tasks the verifier can judge. A trace
that could not be read fails, in both readings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.measure import share
from maniplvm.evaluation.protocols.protocol import (
    Answered,
    Habit,
    Measured,
    Protocol,
    Reads,
    TaskProtocol,
)
from maniplvm.tasks import Task


def _solved(read: Sequence[Answered]) -> Measured:
    outcomes = [each.outcome for each in read]
    return {"solved": np.array([o is not None and o.success for o in outcomes], dtype=np.float64)}


EXECUTION = Protocol(
    "execution",
    {
        Task.TRAJECTORY: TaskProtocol(
            Reads.TRACE,
            _solved,
            (share("solved", "executed traces that solve their task"),),
            Habit.COUNTED,
            ("solved",),
            needs_outcome=True,
        )
    },
)
