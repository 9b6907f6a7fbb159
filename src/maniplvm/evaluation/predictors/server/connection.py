"""A connection to a server: one HTTP request and its whole response, or an `AttemptError`."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.server.chat import (
    Body,
    ChatCompletion,
    parse_completion,
)
from maniplvm.evaluation.predictors.server.errors import (
    AttemptError,
    error_in_response,
    http_error,
    retry_after,
)
from maniplvm.evaluation.predictors.server.exchange import HttpClient, TooSlowError
from maniplvm.optional import httpx2
from maniplvm.text import one_line, shortened

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"

_MAX_NAME = 100
"""Longest shown name of a served model, in characters."""

_SHORTEST_SECRET = 8
"""Keys of fewer characters, such as `EMPTY`, are no secrets; texts may hold them by chance."""


class Connection:
    """A server's chat completions; safe to use from several threads.

    The key is read from the environment and sent in one header. No message, file or `repr` holds
    it.
    """

    def __init__(
        self,
        server: str,
        *,
        key_variable: str | None = None,
        timeout_s: float = 120.0,
        connect_timeout_s: float = 10.0,
    ) -> None:
        """Set the server's address; no request is sent yet.

        Args:
            server: The base URL, such as `http://127.0.0.1:8000/v1`.
            key_variable: The environment variable that holds the key. None takes
                `OPENAI_API_KEY` if it is set, but sends it only encrypted or to this machine.
            timeout_s: Time limit for a whole response [s].
            connect_timeout_s: Time limit for opening a connection [s].

        Raises:
            UserError: an invalid URL, a key in the URL, a named variable that is not set, or a
                missing package.
        """
        parts = _checked_url(server)
        path = parts.path.rstrip("/")
        self.shown = shown_url(server)
        self._url = urlunsplit(
            (parts.scheme, parts.netloc, path + "/chat/completions", parts.query, "")
        )
        self._models_url = urlunsplit(
            (parts.scheme, parts.netloc, path + "/models", parts.query, "")
        )
        self._timeout_s = timeout_s
        local = _is_local(parts.hostname or "")
        self._key = _key(key_variable, parts.scheme == "https" or local)
        self._client = HttpClient(
            {"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout_s,
            connect_timeout_s,
            proxies=not local,
            encrypted=parts.scheme == "https",
        )

    def complete(self, body: Body) -> ChatCompletion:
        """Send a request and parse its completion.

        Raises:
            AttemptError: there is no completion, for any reason.
        """
        content = self._exchange("POST", self._url, json.dumps(body).encode())
        try:
            completion = parse_completion(content)
        except ValueError as error:
            failure = error_in_response(content)
            if failure is not None:
                failure.message = self._clean(failure.message)
                raise failure from error
            raise AttemptError(f"the response has no completion: {error}") from error
        return replace(completion, text=self._without_key(completion.text))

    def model_names(self) -> list[str]:
        """The names of the served models; empty if the server does not list them."""
        try:
            content = self._exchange("GET", self._models_url)
        except AttemptError:
            return []
        listed = content.get("data") if isinstance(content, dict) else None
        models = listed if isinstance(listed, list) else []
        names = [model.get("id") for model in models if isinstance(model, dict)]
        return [shortened(name, _MAX_NAME) for name in names if isinstance(name, str)]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _exchange(self, method: str, url: str, content: bytes | None = None) -> Any:
        http = httpx2()
        try:
            response = self._client.exchange(method, url, content)
        except (http.ConnectError, http.ConnectTimeout) as error:
            raise AttemptError(self._clean(f"no connection ({error})"), unreachable=True) from error
        except (http.TimeoutException, TooSlowError) as error:
            raise AttemptError(f"no whole response within {self._timeout_s:g} s") from error
        except (http.HTTPError, http.InvalidURL, UnicodeError) as error:
            raise AttemptError(self._clean(f"the connection was lost ({error})")) from error
        status, data = response.status, response.body
        try:
            parsed = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            if 200 <= status < 300:
                raise AttemptError(self._not_json(data, error)) from error
            parsed = data.decode(errors="replace")
        if not 200 <= status < 300:
            failure = http_error(status, parsed, retry_after(response.headers))
            failure.message = self._clean(failure.message)
            raise failure
        return parsed

    def _not_json(self, data: bytes, error: Exception) -> str:
        """The message about a response with status 200 whose body cannot be parsed."""
        start = self._clean(data[:80].decode(errors="replace"))
        if start.startswith(("{", "[")):
            return f"the response is no valid JSON ({shortened(str(error), 80)}): {start!r}"
        return f"the response is not JSON but {start!r}; check the path of --server"

    def _clean(self, text: str) -> str:
        """The message on one line; a key that the server repeats is replaced."""
        line = " ".join(text.split())
        return one_line(line.replace(self._key, "***") if self._key else line)

    def _without_key(self, text: str) -> str:
        """A completion without the key, which the server may repeat and which files must not hold."""
        if self._key is None or len(self._key) < _SHORTEST_SECRET:
            return text
        return text.replace(self._key, "***")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def shown_url(server: str) -> str:
    """A server's address for messages and files, without parts that could hold a key.

    Raises:
        UserError: an invalid URL.
    """
    parts = _checked_url(server)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _checked_url(server: str) -> Any:
    try:
        parts = urlsplit(server)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise UserError(f"--server: not a valid URL ({error})") from error
    if "@" in parts.netloc:
        raise UserError(
            "--server: the URL must not contain a key; set an environment variable and give its name "
            "with --key-env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise UserError(f"--server {server}: expected a URL such as http://127.0.0.1:8000/v1")
    return parts


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(variable: str | None, protected: bool) -> str | None:
    named = variable or DEFAULT_KEY_VARIABLE
    key = os.environ.get(named, "").strip()
    if not key:
        if variable is not None:
            raise UserError(f"--key-env {variable}: that environment variable is not set")
        return None
    if not key.isascii() or not key.isprintable():
        raise UserError(
            f"the environment variable {named} holds no valid key: it has non-printable characters"
        )
    return key if protected or variable is not None else None
