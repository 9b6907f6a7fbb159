"""A trial of a regular expression from a file: matching can take 2 to the length of a text steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.untrusted.trial import MAX_CPU_S, in_limited_child


def check_pattern(pattern: str, texts: Sequence[str], what: str) -> None:
    """Check that a regular expression is valid and matches texts in limited time.

    Args:
        pattern: The regular expression.
        texts: What it will be matched with.
        what: What the pattern is, with its file.

    Raises:
        UserError: the pattern is invalid or too slow.
    """

    def work() -> dict[str, Any]:
        try:
            compiled = re.compile(pattern)
        except (re.error, OverflowError, RecursionError):
            return {"valid": False}
        return {
            "valid": True,
            "matches": sum(compiled.fullmatch(text) is not None for text in texts),
        }

    outcome = in_limited_child(work)
    if outcome is None:
        raise UserError(f"{what} takes more than {MAX_CPU_S} s or too much memory to match names")
    if not outcome["valid"]:
        raise UserError(f"{what} is no valid regular expression")
