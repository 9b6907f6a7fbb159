"""One HTTP exchange with limits on its time, its size and its compression.

A server decides what it sends, so nothing of a response is trusted: neither the pace of its bytes,
nor the declared length, nor how far a compressed body expands.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from maniplvm.evaluation.predictors.server.errors import AttemptError
from maniplvm.optional import httpx2

MAX_BYTES = 4 * 2**20
"""Largest response body, after decompression [bytes]."""

_MARKERS = ("gzip", "x-gzip", "deflate")
_ANY_ZLIB_HEADER = 32 + zlib.MAX_WBITS


class TooSlowError(Exception):
    """The whole exchange took longer than its limit."""


@dataclass(frozen=True)
class Response:
    """A whole response.

    Attributes:
        status: The HTTP status.
        headers: The headers, by name in any case.
        body: The decompressed body, at most `MAX_BYTES`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests from several threads, each over a connection of its own.

    Redirects are not followed and cookies are not stored, so a server cannot move the key to
    another place.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        timeout_s: float,
        connect_timeout_s: float,
        *,
        proxies: bool,
        encrypted: bool,
    ) -> None:
        """Set the headers and the limits.

        Args:
            headers: Headers of every request.
            timeout_s: Time limit of a whole exchange, connecting excluded [s].
            connect_timeout_s: Time limit of connecting [s].
            proxies: Whether to use the proxies of the environment.
            encrypted: Whether connections are encrypted; loading the certificates takes a while.
        """
        self.headers = {**headers, "Accept-Encoding": "identity"}
        self._timeout_s, self._connect_timeout_s = timeout_s, connect_timeout_s
        self._proxies = proxies
        self._context = (
            httpx2().create_ssl_context(trust_env=proxies)
            if encrypted or proxies
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate
        )
        self._own = threading.local()
        self._lock = threading.Lock()
        self._clients: list[Any] = []

    def exchange(self, method: str, url: str, content: bytes | None = None) -> Response:
        """Send a request and read its whole response.

        Raises:
            TooSlowError: the exchange took too long.
            AttemptError: the response is too long or cannot be decompressed.
            httpx2.HTTPError: the connection failed.
        """
        client, watchdog = self._client()
        kind = {"Content-Type": "application/json"} if content is not None else {}
        extensions = {"trace": watchdog.observe}
        with (
            watchdog.limit(self._timeout_s + self._connect_timeout_s),
            client.stream(
                method, url, content=content, headers=kind, extensions=extensions
            ) as response,
        ):
            encoding = response.headers.get("content-encoding", "").strip().lower()
            body = _read(response.iter_raw(), encoding)
            return Response(response.status_code, response.headers, body)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for client in self._clients:
                client.close()

    def _client(self) -> tuple[Any, _Watchdog]:
        """The client of this thread: with one connection, a watchdog knows which one to close."""
        if not hasattr(self._own, "client"):
            http = httpx2()
            self._own.client = http.Client(
                headers=self.headers,
                timeout=http.Timeout(self._timeout_s, connect=self._connect_timeout_s),
                limits=http.Limits(max_connections=1, max_keepalive_connections=1),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                trust_env=self._proxies,
                verify=self._context,
            )
            self._own.watchdog = _Watchdog()
            with self._lock:
                self._clients.append(self._own.client)
        return self._own.client, self._own.watchdog


class _Watchdog:
    """Ends the one connection of a client when an exchange takes too long.

    The timeouts of an HTTP client hold for single reads. A server that sends one byte at a time, in
    its headers or in its body, would never exceed them.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._expired = False

    def observe(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the socket of a new connection; a trace extension of httpx2."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Limit the time of the block.

        Raises:
            TooSlowError: the block took longer.
        """
        self._expired = False
        start = time.monotonic()
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if self._expired:
                raise TooSlowError from error
            raise
        finally:
            timer.cancel()
        if time.monotonic() - start > seconds:
            raise TooSlowError

    def _end(self) -> None:
        self._expired = True
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:  # the connection has ended already
                self._socket = None


def _read(pieces: Iterator[bytes], encoding: str) -> bytes:
    """The body, decompressed within the limit of its size."""
    if encoding in ("", "identity"):
        inflate = None
    elif encoding in _MARKERS:
        inflate = zlib.decompressobj(_ANY_ZLIB_HEADER)
    else:
        raise AttemptError(
            f"the response is compressed as {encoding!r:.40}, which was not requested"
        )
    body = bytearray()
    for piece in pieces:
        if inflate is None:
            body += piece
        else:
            try:
                body += inflate.decompress(piece, MAX_BYTES + 1 - len(body))
            except zlib.error as error:
                raise AttemptError(f"the response cannot be decompressed ({error})") from error
        if len(body) > MAX_BYTES:
            raise AttemptError(f"the response is longer than {MAX_BYTES // 2**20} MiB")
    if inflate is not None and not inflate.eof:
        raise AttemptError("the compressed response is incomplete")
    return bytes(body)
