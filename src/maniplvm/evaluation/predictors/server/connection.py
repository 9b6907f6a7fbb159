"""One attempt to get an answer over HTTP: sent whole, read whole, in time, or an `AttemptError`."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.server.chat import Body, ChatReply, read_reply
from maniplvm.evaluation.predictors.server.errors import AttemptError, refused
from maniplvm.evaluation.predictors.server.rate_limit import asked_wait
from maniplvm.optional import httpx2

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"

_MOST_BYTES = 32 * 2**20
"""A longer response is no completion."""


class Connection:
    """A server's chat completions; safe to use from several threads.

    The key comes from the environment alone, travels in one header, and stands in no message,
    file or representation of an object.
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
        """Name a server; nothing is sent yet.

        Args:
            server: Its base URL, such as `http://127.0.0.1:8000/v1`.
            key_variable: The environment variable that holds the key. None takes
                `OPENAI_API_KEY` if it is set, but sends it only encrypted or to this machine.
            timeout_s: When an answer must be there, from sending the question [s].
            connect_timeout_s: When a connection must stand [s].
            connections: How many at once.

        Raises:
            UserError: no such URL, a key in the URL, a named variable that is not set, or a
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

    def ask(self, body: Body) -> ChatReply:
        """Send a question and read its answer.

        Raises:
            AttemptError: there is none, for whatever reason.
        """
        content = self._exchange("POST", self._url, json.dumps(body).encode())
        try:
            return read_reply(content)
        except ValueError as error:
            if isinstance(content, dict) and content.get("error"):
                raise refused(500, content, None) from error
            raise AttemptError(f"the response is no completion: {error}") from error

    def served(self) -> list[str]:
        """The names of the models that it serves; empty if it does not tell."""
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
            raise AttemptError(self._plain(f"no connection ({error})"), unreachable=True) from error
        except http.TimeoutException as error:
            raise AttemptError(f"no answer within {self._timeout_s:g} s") from error
        except http.HTTPError as error:
            raise AttemptError(self._plain(f"the connection broke ({error})")) from error
        try:
            said = json.loads(data)
        except (ValueError, RecursionError) as error:
            if 200 <= status < 300:
                shown = self._plain(data[:80].decode(errors="replace"))
                raise AttemptError(f"the response is no JSON but {shown!r}") from error
            said = data.decode(errors="replace")
        if not 200 <= status < 300:
            trouble = refused(status, said, asked_wait(headers))
            trouble.message = self._plain(trouble.message)
            raise trouble
        return said

    def _send(self, method: str, url: str, content: bytes | None) -> tuple[int, Any, bytes]:
        """The response's status, headers and whole body."""
        http = httpx2()
        deadline = time.monotonic() + self._timeout_s
        kind = {"Content-Type": "application/json"} if content is not None else {}
        with self._client.stream(method, url, content=content, headers=kind) as response:
            data = bytearray()
            for piece in response.iter_bytes():
                data += piece
                if time.monotonic() > deadline:  # a server may keep the line busy and never end
                    raise http.ReadTimeout("the whole answer took too long")
                if len(data) > _MOST_BYTES:
                    raise AttemptError(f"the response is longer than {_MOST_BYTES // 2**20} MiB")
            return response.status_code, response.headers, bytes(data)

    def _plain(self, text: str) -> str:
        """On one line, without the key, which a server may repeat."""
        line = " ".join(text.split())
        return line.replace(self._key, "***") if self._key else line


def shown_url(server: str) -> str:
    """A server's address for people and files: without what could hold a key.

    Raises:
        UserError: no usable URL.
    """
    parts = _checked_url(server)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _checked_url(server: str) -> Any:
    try:
        parts = urlsplit(server)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise UserError(f"--server: no URL ({error})") from error
    if "@" in parts.netloc:
        raise UserError(
            "--server: a URL must hold no key; put it into an environment variable and name that "
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
        raise UserError(f"the environment variable {named} holds no key: odd characters in it")
    return key if protected or variable is not None else None
