"""Protocols: what is measured of an answer, and what a missing answer counts as.

A protocol is data: for each task what it reads, a function that measures answers, and for each of
its measures the unit and the value of a completion that could not be read. Published figures for one
and the same model differ several-fold by protocol alone, so no number is reported without its
protocol's name. A new one is one more file and one more line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols.execution import EXECUTION
from maniplvm.evaluation.protocols.inside import INSIDE, inside, region_of
from maniplvm.evaluation.protocols.maniplvm import MANIPLVM, SUCCESS_END_PX, SUCCESS_IOU
from maniplvm.evaluation.protocols.measure import (
    Measure,
    diagonals,
    pixels,
    share,
    sides,
    thousandths,
)
from maniplvm.evaluation.protocols.point_in_mask import POINT_IN_MASK
from maniplvm.evaluation.protocols.protocol import (
    OWN_READING,
    Answered,
    Habit,
    Measured,
    Protocol,
    Reads,
    TaskProtocol,
)
from maniplvm.evaluation.protocols.reading import read_as
from maniplvm.evaluation.protocols.sharerobot_bench import SHAREROBOT_BENCH
from maniplvm.evaluation.protocols.vabench import VABENCH

__all__ = [
    "INSIDE",
    "MANIPLVM",
    "OWN_READING",
    "PROTOCOLS",
    "SUCCESS_END_PX",
    "SUCCESS_IOU",
    "Answered",
    "Habit",
    "Measure",
    "Measured",
    "Protocol",
    "Reads",
    "TaskProtocol",
    "diagonals",
    "inside",
    "pixels",
    "read_as",
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
    """The protocol of that name, or itself.

    Raises:
        UserError: there is none; the valid ones are listed.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
