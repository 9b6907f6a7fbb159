"""How much memory a piece of work needs at its peak, beyond what was held before."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(work: Callable[[], Any]) -> int | None:
    """Peak of one call over the level before it [bytes]; None where the system cannot tell.

    Args:
        work: Something that has run before, so that what it keeps for good is there already.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    if not _RESET.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)
    _RESET.write_text("5")  # the high-water mark starts again from what is resident now
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{_STATUS} has no {name}")
