"""Protocols: which measures are computed for answers, and how missing answers count.

A protocol is data. For each task it has the type of answer, a function that measures answers, and
for each measure its unit and worst value. Published figures of one model differ several-fold between
protocols, so every figure is reported with its protocol's name. A new protocol is one more file and
one more line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols.answer_type import TASK_ANSWER_TYPE, AnswerType, parse_as
from maniplvm.evaluation.protocols.execution import EXECUTION
from maniplvm.evaluation.protocols.maniplvm import MANIPLVM, SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.protocols.measure import (
    Measure,
    diagonals,
    pixels,
    share,
    sides,
    thousandths,
)
from maniplvm.evaluation.protocols.point_in_mask import INSIDE, POINT_IN_MASK, inside, region_of
from maniplvm.evaluation.protocols.protocol import (
    AnsweredSample,
    MeasureValues,
    Outcome,
    Protocol,
    TaskProtocol,
    UnreadablePolicy,
)
from maniplvm.evaluation.protocols.sharerobot_bench import SHAREROBOT_BENCH
from maniplvm.evaluation.protocols.vabench import VABENCH

__all__ = [
    "INSIDE",
    "MANIPLVM",
    "PROTOCOLS",
    "SUCCESS_END_PX",
    "SUCCESS_IOU",
    "TASK_ANSWER_TYPE",
    "AnswerType",
    "AnsweredSample",
    "Measure",
    "MeasureValues",
    "Outcome",
    "Protocol",
    "TaskProtocol",
    "UnreadablePolicy",
    "diagonals",
    "inside",
    "parse_as",
    "pixels",
    "region_of",
    "resolve_protocol",
    "share",
    "sides",
    "thousandths",
]

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (MANIPLVM, SHAREROBOT_BENCH, VABENCH, POINT_IN_MASK, EXECUTION)
    }
)
"""Every protocol by name."""


def resolve_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of that name; a protocol is returned unchanged.

    Raises:
        UserError: an unknown name; the valid ones are listed.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
