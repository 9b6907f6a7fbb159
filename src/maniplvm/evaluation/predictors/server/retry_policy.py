"""One question, asked until it is answered or patience ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.server.chat import FILTERED, Body, ChatReply
from maniplvm.evaluation.predictors.server.connection import Connection
from maniplvm.evaluation.predictors.server.errors import AttemptError, Remedy
from maniplvm.evaluation.predictors.server.rate_limit import Pace, growing_wait


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask it again.

    Attributes:
        retries: Further attempts after a passing failure.
        first_wait_s: The longest wait before the second attempt; doubled before each next [s].
        longest_wait_s: The longest wait of our own choosing [s].
        longest_asked_wait_s: The longest that a server may ask for; beyond it we stop [s].
        timeout_s: When an answer must be there [s].
        connect_timeout_s: When a connection must stand [s].
        give_up_after: Questions in a row without an answer after which nothing more is asked.

    Raises:
        UserError: a number outside its range.
    """

    retries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_asked_wait_s: float = 900.0
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    give_up_after: int = 5

    def __post_init__(self) -> None:
        if self.retries < 0 or self.give_up_after < 1:
            raise UserError("--retries must be at least 0 and --give-up-after at least 1")
        if self.timeout_s <= 0 or self.connect_timeout_s <= 0:
            raise UserError("--timeout and --connect-timeout must be above 0")


class Asker:
    """Asks with patience; one for all threads."""

    def __init__(
        self,
        connection: Connection,
        patience: Patience,
        pace: Pace,
        notice: Callable[[str], None],
    ) -> None:
        """Take the connection.

        Args:
            connection: To the server.
            patience: When to give a question up.
            pace: Shared by all questions.
            notice: Told once about each kind of trouble that is waited out.
        """
        self._connection, self._patience, self._pace = connection, patience, pace
        self._notice = notice
        self._lock = threading.Lock()
        self._noticed: str | None = None
        self._reached = False
        self.repeated = 0

    def ask(self, key: str, body: Body) -> ChatReply:
        """Ask until there is an answer.

        Args:
            key: Names the question.
            body: The request.

        Raises:
            AttemptError: the last one, when patience ends or asking again cannot help.
        """
        attempt = 0
        while True:
            attempt += 1
            if not self._pace.wait():
                raise AttemptError("stopped before it was asked")
            try:
                reply = self._connection.ask(body)
            except AttemptError as trouble:
                if trouble.filtered:
                    return ChatReply("", FILTERED, None, None)
                self._wait_after(trouble, attempt, key)
                continue
            self._reached, self._noticed = True, None
            return reply

    def _wait_after(self, trouble: AttemptError, attempt: int, key: str) -> None:
        """Wait before the next attempt, or raise the trouble if there is to be none."""
        patience = self._patience
        if trouble.unreachable and not self._reached:
            raise AttemptError(f"{trouble.message}; does the server run there?", Remedy.STOP)
        if trouble.remedy is not Remedy.ASK_AGAIN or attempt > patience.retries:
            raise trouble
        asked = trouble.wait_s or 0.0
        if asked > patience.longest_asked_wait_s:
            raise AttemptError(
                f"{trouble.message}; it asks for a pause of {asked:.0f} s", Remedy.STOP
            )
        own = growing_wait(attempt, patience.first_wait_s, patience.longest_wait_s, key)
        self._tell(trouble.message)
        if asked:
            self._pace.hold(asked)
        if not self._pace.sleep(max(asked, own)):
            raise trouble

    def _tell(self, message: str) -> None:
        with self._lock:
            self.repeated += 1
            is_new = message != self._noticed
            self._noticed = message
        if is_new:
            self._notice(f"{message}; it is asked again")
