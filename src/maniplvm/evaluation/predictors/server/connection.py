"""A connection to a server: one HTTP request and its whole response, or an `AttemptError`."""

from __future__ import annotations

import ipaddress
import json
import os
import time
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
from maniplvm.optional import httpx2

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"

_MAX_BYTES = 32 * 2**20
"""Upper limit of a response; a longer one is an error."""


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
        connections: int = 8,
    ) -> None:
        """Set the server's address; no request is sent yet.

        Args:
            server: The base URL, such as `http://127.0.0.1:8000/v1`.
            key_variable: The environment variable that holds the key. None takes
                `OPENAI_API_KEY` if it is set, but sends it only encrypted or to this machine.
            timeout_s: Time limit for a whole response [s].
            connect_timeout_s: Time limit for opening a connection [s].
            connections: Maximum number of concurrent connections.

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
        http = httpx2()
        self._client = http.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=http.Timeout(timeout_s, connect=connect_timeout_s, pool=None),
            limits=http.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not local,
        )

    def complete(self, body: Body) -> ChatCompletion:
        """Send a request and parse its completion.

        Raises:
            AttemptError: there is no completion, for any reason.
        """
        content = self._exchange("POST", self._url, json.dumps(body).encode())
        try:
            return parse_completion(content)
        except ValueError as error:
            failure = error_in_response(content)
            if failure is not None:
                failure.message = self._clean(failure.message)
                raise failure from error
            raise AttemptError(f"the response has no completion: {error}") from error

    def model_names(self) -> list[str]:
        """The names of the served models; empty if the server does not list them."""
        try:
            content = self._exchange("GET", self._models_url)
        except AttemptError:
            return []
        listed = content.get("data") if isinstance(content, dict) else None
        models = listed if isinstance(listed, list) else []
        return [str(model["id"]) for model in models if isinstance(model, dict) and "id" in model]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _exchange(self, method: str, url: str, content: bytes | None = None) -> Any:
        http = httpx2()
        try:
            status, headers, data = self._send(method, url, content)
        except (http.ConnectError, http.ConnectTimeout) as error:
            raise AttemptError(self._clean(f"no connection ({error})"), unreachable=True) from error
        except http.TimeoutException as error:
            raise AttemptError(f"no response within {self._timeout_s:g} s") from error
        except http.HTTPError as error:
            raise AttemptError(self._clean(f"the connection was lost ({error})")) from error
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError) as error:
            if 200 <= status < 300:
                shown = self._clean(data[:80].decode(errors="replace"))
                raise AttemptError(f"the response is not JSON but {shown!r}") from error
            parsed = data.decode(errors="replace")
        if not 200 <= status < 300:
            failure = http_error(status, parsed, retry_after(headers))
            failure.message = self._clean(failure.message)
            raise failure
        return parsed

    def _send(self, method: str, url: str, content: bytes | None) -> tuple[int, Any, bytes]:
        """The response's status, headers and whole body."""
        http = httpx2()
        deadline = time.monotonic() + self._timeout_s
        kind = {"Content-Type": "application/json"} if content is not None else {}
        with self._client.stream(method, url, content=content, headers=kind) as response:
            data = bytearray()
            for piece in response.iter_bytes():
                data += piece
                if time.monotonic() > deadline:  # the server may send bytes without end
                    raise http.ReadTimeout("the whole response took too long")
                if len(data) > _MAX_BYTES:
                    raise AttemptError(f"the response is longer than {_MAX_BYTES // 2**20} MiB")
            return response.status_code, response.headers, bytes(data)

    def _clean(self, text: str) -> str:
        """The message on one line; a key that the server repeats is replaced."""
        line = " ".join(text.split())
        return line.replace(self._key, "***") if self._key else line


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
