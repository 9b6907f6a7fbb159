"""Simulated manipulation: data sets with labels from physics, and execution of predicted traces.

Names are imported at first use, so importing this package needs no simulator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution, Reason, execute
    from maniplvm.simulation.generation.plan import Plan
    from maniplvm.simulation.provenance import Provenance
    from maniplvm.simulation.randomization.domain_randomization import DomainRandomization

__all__ = ["DomainRandomization", "Execution", "Plan", "Provenance", "Reason", "execute"]

_MODULE_OF = {
    "DomainRandomization": "randomization.domain_randomization",
    "Execution": "execution",
    "Plan": "generation.plan",
    "Provenance": "provenance",
    "Reason": "execution",
    "execute": "execution",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
