"""What a worker process of the pool does: follow the traces that it is sent, one after another."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from maniplvm.errors import UserError
from maniplvm.simulation.execution.executor import Scenes, follow_trace
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.provenance import Provenance


@dataclass(frozen=True)
class Order:
    """One trace to follow.

    Attributes:
        number: Comes back with the answer.
        provenance: Of the sample, as plain data.
        trace: `(N, 2)` [px], as lists.
        timeout: Most seconds for the motion.
    """

    number: int
    provenance: Mapping[str, Any]
    trace: Any
    timeout: float


@dataclass(frozen=True)
class Ready:
    """The worker has imported what it needs."""


@dataclass(frozen=True)
class Done:
    """The answer to an order."""

    number: int
    execution: Execution


@dataclass(frozen=True)
class Refused:
    """The order cannot be met on this machine, and neither can others like it."""

    message: str


def serve(orders: Connection, capacity: int) -> None:
    """Answer orders until the other side hangs up.

    Args:
        orders: Receives `Order`, sends `Ready` once and then `Done` or `Refused` for each.
        capacity: How many compiled scenes to keep.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too and hangs up
    with Scenes(capacity) as scenes:
        orders.send(Ready())
        while True:
            try:
                order = orders.recv()
            except EOFError:
                return
            orders.send(_answer(order, scenes))


def _answer(order: Order, scenes: Scenes) -> Done | Refused:
    try:
        reference = Provenance.from_json(order.provenance)
        execution = follow_trace(reference, order.trace, scenes, order.timeout)
    except UserError as error:
        return Refused(str(error))
    except Exception as error:  # a simulator may fail in any way; the batch must go on
        scenes.close()
        detail = f"{type(error).__name__}: {error}"
        execution = Execution(Reason.CRASHED, detail=detail)
    return Done(order.number, execution)
