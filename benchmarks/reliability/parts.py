"""The parts of the reliability tests, by name. A part is imported only when it runs."""

from __future__ import annotations

from importlib import import_module

from benchmarks.reliability.result import PartResult, Settings

# Each module has `run(settings) -> PartResult`.
PARTS: dict[str, str] = {
    "fuzzing": "fuzzing",
    "interruptions": "faults.interruptions",
    "resources": "faults.resources",
    "servers": "hostile.servers",
    "checkpoints": "hostile.checkpoints",
    "injection": "hostile.injection",
}


def run_part(name: str, settings: Settings) -> PartResult:
    """Run one part.

    Args:
        name: A key of `PARTS`.
        settings: Seed, processes, length and folder.

    Raises:
        KeyError: No part has this name.
    """
    return import_module(f"benchmarks.reliability.{PARTS[name]}").run(settings)
