"""Retries with exponential backoff, and a rate limit that all threads share."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.server.chat import Body, ChatCompletion
from maniplvm.evaluation.predictors.server.connection import Connection
from maniplvm.evaluation.predictors.server.errors import FILTERED, AttemptError, FailureAction

_SECONDS_IN_A_MINUTE = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """Timeouts, and how often a failed request is sent again.

    Attributes:
        max_retries: Further attempts after a transient failure.
        initial_wait_s: Longest wait before the second attempt; it doubles before each next one [s].
        max_wait_s: Upper limit of that wait [s].
        max_retry_after_s: Longest `Retry-After` that is followed; a longer one stops the run [s].
        timeout_s: Time limit for a whole response [s].
        connect_timeout_s: Time limit for opening a connection [s].
        max_consecutive_failures: Failed requests in a row after which the run stops.

    Raises:
        UserError: a number is outside its range.
    """

    max_retries: int = 6
    initial_wait_s: float = 1.0
    max_wait_s: float = 60.0
    max_retry_after_s: float = 900.0
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    max_consecutive_failures: int = 5

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.max_consecutive_failures < 1:
            raise UserError(
                "--retries must be at least 0 and --max-consecutive-failures at least 1"
            )
        if self.timeout_s <= 0 or self.connect_timeout_s <= 0:
            raise UserError("--timeout and --connect-timeout must be above 0")


class RateLimiter:
    """Spaces requests evenly, at most a given number per minute.

    All threads share one, so a wait that the server requests from one of them holds for all.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        """Set the limit.

        Args:
            per_minute: Requests per minute, evenly spaced; None sets no limit.
        """
        self._gap_s = 0.0 if per_minute is None else _SECONDS_IN_A_MINUTE / per_minute
        self._lock = threading.Lock()
        self._next_slot = 0.0
        self._paused_until = 0.0
        self._stopped = threading.Event()

    def acquire(self) -> bool:
        """Wait for the next free slot; False if `stop` was called meanwhile."""
        while True:
            with self._lock:
                slot = max(self._next_slot, self._paused_until, time.monotonic())
                self._next_slot = slot + self._gap_s
            if not self.sleep(slot - time.monotonic()):
                return False
            if slot >= self._paused_until:
                return True

    def pause(self, seconds: float) -> None:
        """Send no request for this time [s]."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> bool:
        """Wait; False if `stop` was called meanwhile."""
        return not self._stopped.wait(max(0.0, seconds))

    def stop(self) -> None:
        """Wake all waiting threads; no further request is sent."""
        self._stopped.set()


class RetryingClient:
    """Sends requests and repeats those that fail; all threads share one."""

    def __init__(
        self,
        connection: Connection,
        policy: RetryPolicy,
        limiter: RateLimiter,
        notice: Callable[[str], None],
    ) -> None:
        """Set the connection and the policy.

        Args:
            connection: The connection to the server.
            policy: How often a request is repeated.
            limiter: The rate limit of all requests.
            notice: Called with a message when a new kind of failure is retried.
        """
        self._connection, self._policy, self._limiter = connection, policy, limiter
        self._notice = notice
        self._lock = threading.Lock()
        self._last_message: str | None = None
        self._reached = False
        self.retries = 0

    def complete(self, key: str, body: Body) -> ChatCompletion:
        """Send a request until there is a completion.

        Args:
            key: A name of the request, which decides the jitter of its waits.
            body: The request.

        Raises:
            AttemptError: the last error, when no retry is left or a retry cannot help.
        """
        attempt = 0
        while True:
            attempt += 1
            if not self._limiter.acquire():
                message = "the run stopped before this request was sent"
                raise AttemptError(message, cancelled=True)
            try:
                completion = self._connection.complete(body)
            except AttemptError as error:
                if error.filtered:
                    return ChatCompletion("", FILTERED, None, None)
                try:
                    self._wait_after(error, attempt, key)
                except AttemptError as final:
                    if final.action is FailureAction.STOP:
                        self._limiter.stop()  # no thread sends another request
                    raise
                continue
            self._reached, self._last_message = True, None
            return completion

    def _wait_after(self, error: AttemptError, attempt: int, key: str) -> None:
        """Wait before the next attempt, or raise the error if there is none."""
        policy = self._policy
        if error.unreachable and not self._reached:
            raise AttemptError(
                f"{error.message}; check that the server runs at this address", FailureAction.STOP
            )
        if error.action is not FailureAction.RETRY or attempt > policy.max_retries:
            raise error
        requested = error.retry_after_s or 0.0
        if requested > policy.max_retry_after_s:
            raise AttemptError(
                f"{error.message}; the server requests a wait of {requested:.0f} s",
                FailureAction.STOP,
            )
        own = backoff(attempt, policy.initial_wait_s, policy.max_wait_s, key)
        self._report(error.message)
        if requested:
            self._limiter.pause(requested)
        if not self._limiter.sleep(max(requested, own)):
            raise error

    def _report(self, message: str) -> None:
        with self._lock:
            self.retries += 1
            is_new = message != self._last_message
            self._last_message = message
        if is_new:
            self._notice(f"{message}; retrying")


def backoff(attempt: int, initial_s: float, max_s: float, key: str) -> float:
    """The wait after a failed attempt: exponential backoff with jitter [s].

    Args:
        attempt: Failed attempts so far, from 1.
        initial_s: Longest wait after the first one [s].
        max_s: Upper limit of every wait [s].
        key: A name of the request; with the attempt it decides the jitter.

    Returns:
        Between half and all of the doubled wait [s].
    """
    longest = min(max_s, initial_s * 2.0 ** (attempt - 1))
    jitter = np.random.default_rng((zlib.crc32(key.encode()), attempt)).random()
    return longest * (0.5 + 0.5 * float(jitter))
