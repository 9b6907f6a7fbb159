"""Manipulation data and a physical verifier out of simulation; rendering is needed for data only.

Names are imported when first used, so that the package can be looked at without a simulator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution, Reason, execute
    from maniplvm.simulation.generation.plan import Plan
    from maniplvm.simulation.provenance import Provenance
    from maniplvm.simulation.randomization.appearance import Variety

__all__ = ["Execution", "Plan", "Provenance", "Reason", "Variety", "execute"]

_HOME = {
    "Execution": "execution",
    "Plan": "generation.plan",
    "Provenance": "provenance",
    "Reason": "execution",
    "Variety": "randomization.appearance",
    "execute": "execution",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
