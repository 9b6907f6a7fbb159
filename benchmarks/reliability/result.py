"""What a part of the reliability tests returns: counts, and one line for each failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_FAILURES = 20


@dataclass(frozen=True)
class Settings:
    """How to run a part.

    Attributes:
        seed: Seed of everything random.
        jobs: Processes that work at the same time, at least 1.
        quick: Run the short form, as the tests do.
        folder: Folder for temporary files. The caller removes it.
    """

    seed: int
    jobs: int
    quick: bool
    folder: Path


@dataclass
class PartResult:
    """Counts of one part.

    Attributes:
        tried: Attempts.
        lost: Attempts that lost data, ended in a traceback, hung, or gave a wrong result.
        failures: One line for each lost attempt, with what is needed to repeat it.
        details: Further figures, by name.
    """

    tried: int = 0
    lost: int = 0
    failures: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def record(self, failure: str | None) -> None:
        """Count one attempt.

        Args:
            failure: What went wrong, or None if the attempt was survived.
        """
        self.tried += 1
        if failure is not None:
            self.lost += 1
            self.failures.append(failure)

    def as_dict(self) -> dict[str, Any]:
        """Figures for the results file, with the first `SHOWN_FAILURES` failures."""
        return {
            "tried": self.tried,
            "survived": self.tried - self.lost,
            "lost": self.lost,
            "failures": self.failures[:SHOWN_FAILURES],
            **self.details,
        }
