"""Protocol `execution`: the share of traces that solve their task when a simulated robot follows them.

It is a protocol of this project. It measures executed traces: those of simulated samples whose task
the verifier can check. A trace that could not be parsed fails, in both readings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maniplvm.evaluation.protocols.answer_type import AnswerType
from maniplvm.evaluation.protocols.measure import share
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.tasks import Task


def _solved(answered: Sequence[AnsweredSample]) -> MeasureValues:
    outcomes = [each.outcome for each in answered]
    return {"solved": np.array([o is not None and o.success for o in outcomes], dtype=np.float64)}


EXECUTION = Protocol(
    "execution",
    {
        Task.TRAJECTORY: TaskProtocol(
            AnswerType.TRACE,
            _solved,
            (share("solved", "executed traces that solve their task"),),
            UnreadablePolicy.COUNTED_AS_WORST,
            ("solved",),
            needs_outcome=True,
        )
    },
)
