"""What can go wrong between us and a server, by what is to be done about it."""

from __future__ import annotations

from enum import Enum
from typing import Any

from maniplvm.evaluation.predictors.server.chat import FILTERED


class Remedy(Enum):
    """What is to be done about a failed attempt."""

    ASK_AGAIN = "ask again"
    LEAVE_QUESTION = "leave this question out"
    STOP = "stop"


class AttemptError(Exception):
    """An attempt that brought no answer.

    Attributes:
        message: What happened, in one line.
        remedy: What is to be done.
        status: Of HTTP, where there was a response.
        wait_s: The pause that the server asked for [s].
        unreachable: Whether nobody listened at all.
        filtered: Whether the service refused this very question by its content filter.
    """

    def __init__(
        self,
        message: str,
        remedy: Remedy = Remedy.ASK_AGAIN,
        *,
        status: int | None = None,
        wait_s: float | None = None,
        unreachable: bool = False,
        filtered: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status
        self.wait_s = wait_s
        self.unreachable = unreachable
        self.filtered = filtered


_PASSING = {408, 409, 425, 429}
_HOPELESS = {401, 402, 403, 404, 405}
_EXHAUSTED = ("insufficient_quota", "billing_hard_limit_reached")
_ADVICE = {
    401: "set the variable that --key-env names to a valid key",
    403: "the key may not do this",
    404: "check the model's name and the path of --server, which often ends in /v1",
    405: "check the path of --server, which often ends in /v1",
}
_MOST_SAID = 300


def refused(status: int, said: Any, wait_s: float | None) -> AttemptError:
    """The trouble that a response's status tells.

    Args:
        status: Of HTTP, none of 200 to 299.
        said: The body: JSON, or text.
        wait_s: From `Retry-After` [s].
    """
    detail = _detail(said)
    message = f"HTTP {status}" + (f", {detail}" if detail else "")
    code = _code(said)
    if code == FILTERED:
        return AttemptError(message, Remedy.LEAVE_QUESTION, status=status, filtered=True)
    if status in _HOPELESS or code in _EXHAUSTED:
        advice = f"; {_ADVICE[status]}" if status in _ADVICE else ""
        return AttemptError(message + advice, Remedy.STOP, status=status)
    if status in _PASSING or status >= 500:
        return AttemptError(message, status=status, wait_s=wait_s)
    if status < 400:
        return AttemptError(
            f"{message}; it points elsewhere: name that place", Remedy.STOP, status=status
        )
    return AttemptError(message, Remedy.LEAVE_QUESTION, status=status)


def _detail(said: Any) -> str:
    """What the body says about the error, in one short line."""
    text = said
    for field in ("error", "message", "detail"):
        if isinstance(text, dict) and field in text:
            text = text[field]
    if isinstance(text, dict) and "message" in text:
        text = text["message"]
    line = " ".join(str(text).split())
    return line if len(line) <= _MOST_SAID else line[:_MOST_SAID] + "…"


def _code(said: Any) -> str | None:
    error = said.get("error") if isinstance(said, dict) else None
    return error.get("code") or error.get("type") if isinstance(error, dict) else None
