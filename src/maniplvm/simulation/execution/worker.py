"""What a worker process of the pool does: follow traces and touch boxes, one after another."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from maniplvm.errors import UserError
from maniplvm.simulation.execution.executor import Scenes, follow_trace
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.execution.push_test import Contact, Touch, touch_box
from maniplvm.simulation.provenance import Provenance


@dataclass(frozen=True)
class Order:
    """One trace to follow, or one box to touch.

    Attributes:
        number: Comes back with the answer.
        provenance: Of the sample, as plain data.
        answer: `(N, 2)` or `(4,)` [px], as lists.
        timeout: Most seconds for the motion.
        kind: What to do.
    """

    number: int
    provenance: Mapping[str, Any]
    answer: Any
    timeout: float
    kind: Literal["follow", "touch"] = "follow"


@dataclass(frozen=True)
class Ready:
    """The worker has imported what it needs."""


@dataclass(frozen=True)
class Done:
    """The answer to an order."""

    number: int
    outcome: Execution | Touch


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
        if order.kind == "touch":
            return Done(order.number, touch_box(reference, order.answer, scenes, order.timeout))
        return Done(order.number, follow_trace(reference, order.answer, scenes, order.timeout))
    except UserError as error:
        return Refused(str(error))
    except Exception as error:  # a simulator may fail in any way; the batch must go on
        scenes.close()
        detail = f"{type(error).__name__}: {error}"
        return Done(order.number, lost(order.kind, Reason.CRASHED, detail))


def lost(kind: str, reason: Reason, detail: str) -> Execution | Touch:
    """The outcome of an order that never got its answer."""
    if kind == "touch":
        return Touch(Contact(reason.value))
    return Execution(reason, detail=detail)
