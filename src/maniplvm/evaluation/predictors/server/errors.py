"""Errors of a request to a server, and what the client does after each."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from maniplvm.text import shortened

FILTERED = "content_filter"
"""Finish reason or error code of a request that the service's content filter rejects."""


class FailureAction(Enum):
    """What the client does after a failed attempt."""

    RETRY = "retry"
    SKIP_REQUEST = "skip this request"
    STOP = "stop"


class AttemptError(Exception):
    """An attempt that gave no completion.

    Attributes:
        message: What happened, in one line.
        action: What the client does next.
        status: The HTTP status, if there was a response.
        retry_after_s: The wait that the server requested [s], if any.
        unreachable: Whether no connection could be opened.
        filtered: Whether the service's content filter rejected this request.
        cancelled: Whether the run ended before the request was sent.
    """

    def __init__(
        self,
        message: str,
        action: FailureAction = FailureAction.RETRY,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        unreachable: bool = False,
        filtered: bool = False,
        cancelled: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.action = action
        self.status = status
        self.retry_after_s = retry_after_s
        self.unreachable = unreachable
        self.filtered = filtered
        self.cancelled = cancelled


_TRANSIENT = {408, 409, 425, 429}
_FATAL = {401, 402, 403, 404, 405}
_NO_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")
_ADVICE = {
    401: "set the variable that --key-env names to a valid key",
    403: "the key does not have this permission",
    404: "check the model's name and the path of --server, which often ends in /v1",
    405: "check the path of --server, which often ends in /v1",
}
_MAX_DETAIL = 300


def http_error(status: int, body: Any, retry_after_s: float | None) -> AttemptError:
    """The error that a response's status means.

    Args:
        status: The HTTP status, outside 200 to 299.
        body: The response body: parsed JSON, or a string.
        retry_after_s: From `Retry-After` [s].
    """
    detail = _detail(body)
    message = f"HTTP {status}" + (f", {detail}" if detail else "")
    code = _code(body)
    if code == FILTERED:
        return AttemptError(message, FailureAction.SKIP_REQUEST, status=status, filtered=True)
    if status in _FATAL or code in _NO_QUOTA:
        advice = f"; {_ADVICE[status]}" if status in _ADVICE else ""
        return AttemptError(message + advice, FailureAction.STOP, status=status)
    if status in _TRANSIENT or status >= 500:
        return AttemptError(message, status=status, retry_after_s=retry_after_s)
    if status < 400:
        return AttemptError(
            f"{message}; the server redirects to another address: give that one as --server",
            FailureAction.STOP,
            status=status,
        )
    return AttemptError(message, FailureAction.SKIP_REQUEST, status=status)


def error_in_response(body: Any) -> AttemptError | None:
    """The error that a body with status 200 holds; None if it holds none.

    Routers such as OpenRouter answer with status 200 and put the real error into the body: at its
    top, or into the first choice.

    Args:
        body: Parsed JSON.
    """
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    for holder in (body, choice):
        error = holder.get("error") if isinstance(holder, dict) else None
        if not error:
            continue
        status = _status_in(error)
        if status is not None:
            return http_error(status, {"error": error}, None)
        detail = _detail({"error": error})
        failure = http_error(500, {"error": error}, None)
        failure.message, failure.status = f"the response holds an error: {detail}", None
        return failure
    return None


def _status_in(error: Any) -> int | None:
    """The HTTP status that an error states as `code` or `status`."""
    if not isinstance(error, dict):
        return None
    for name in ("code", "status"):
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that a server requests by `Retry-After` (seconds, or a date), RFC 9110 [s].

    Returns:
        None without the header, or with one that cannot be parsed.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        aware = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):  # what a malformed date can cause
        return None


def _detail(body: Any) -> str:
    """The body's error message, in one short line."""
    text = body
    for field in ("error", "message", "detail"):
        if isinstance(text, dict) and field in text:
            text = text[field]
    if isinstance(text, dict) and "message" in text:
        text = text["message"]
    return shortened(text if isinstance(text, str) else reprlib.repr(text), _MAX_DETAIL)


def _code(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    names = [error.get("code"), error.get("type")]
    return next((name for name in names if isinstance(name, str) and name), None)
