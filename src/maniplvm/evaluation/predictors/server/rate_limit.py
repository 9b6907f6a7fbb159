"""When a question may be sent: rate limits, pauses that the server asks for, growing waits."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np

_SECONDS_IN_A_MINUTE = 60.0


class Pace:
    """Lets questions out one after the other, at most so many a minute.

    All threads share one, so a pause that the server asks one of them for holds for all.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        """Set the limit.

        Args:
            per_minute: Questions that are sent a minute, evenly spaced; None sends at once.
        """
        self._gap_s = 0.0 if per_minute is None else _SECONDS_IN_A_MINUTE / per_minute
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._held_until = 0.0
        self._stopped = threading.Event()

    def wait(self) -> bool:
        """Wait for the next turn; False if everything was stopped meanwhile."""
        while True:
            with self._lock:
                turn = max(self._free_at, self._held_until, time.monotonic())
                self._free_at = turn + self._gap_s
            if not self.sleep(turn - time.monotonic()):
                return False
            if turn >= self._held_until:
                return True

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> bool:
        """Wait; False if everything was stopped meanwhile."""
        return not self._stopped.wait(max(0.0, seconds))

    def stop(self) -> None:
        """Wake everybody who waits; nothing is sent any more."""
        self._stopped.set()


def growing_wait(attempt: int, first_s: float, longest_s: float, key: str) -> float:
    """How long to wait after a failed attempt: doubling, and not the same for every question.

    Args:
        attempt: Failed attempts so far, from 1.
        first_s: The longest wait after the first [s].
        longest_s: The longest wait at all [s].
        key: Names the question; with the attempt it decides the jitter.

    Returns:
        Between half and all of the doubled wait [s].
    """
    longest = min(longest_s, first_s * 2.0 ** (attempt - 1))
    jitter = np.random.default_rng((zlib.crc32(key.encode()), attempt)).random()
    return longest * (0.5 + 0.5 * float(jitter))


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """The pause that a server asks for by `Retry-After` (seconds, or a date), RFC 9110 [s].

    Returns:
        None if it asks for none, or for one that cannot be read.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.replace(".", "", 1).isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
