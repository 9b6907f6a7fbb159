"""A real server on the loopback interface that behaves as the path of a request asks."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import random
import socketserver
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

GOOD_TEXT = "<think>The handle is here.</think><answer>[100, 200, 300, 400]</answer>"
KEY = "sk-hostile-0123456789"
_CRLF = b"\r\n"


def completion(text: Any = GOOD_TEXT, **choice: Any) -> dict[str, Any]:
    """The body of a good response, with changes to its choice."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }


def http(body: bytes | str | Any, status: str = "200 OK", *headers: str, length: int = -1) -> bytes:
    """The bytes of a response."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else None
    data = json.dumps(body).encode() if data is None else data
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers]
    lines.append(f"Content-Length: {len(data) if length < 0 else length}")
    return "\r\n".join(lines).encode("latin-1") + 2 * _CRLF + data


def chunked(pieces: list[bytes]) -> bytes:
    """A response in chunks."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def with_raw(text: str) -> bytes:
    """A good body with `"X"` replaced by raw JSON."""
    return http(json.dumps(completion("X")).replace('"X"', text))


GOOD = http(completion())
_BODY = json.dumps(completion()).encode()
_DEEP = 100_000

REFUSED: dict[str, bytes] = {
    "html": http("<html><body>Welcome</body></html>", "200 OK", "X: text/html"),
    "empty-body": http(b""),
    "cut-json": http(_BODY[: len(_BODY) // 2]),
    "json-list": http([1, 2]),
    "json-string": http('"x"'),
    "json-null": http("null"),
    "nan": with_raw("NaN"),
    "infinity-usage": http(json.dumps(completion()).replace("10", "-Infinity")),
    "deep-lists": http("[" * _DEEP + "]" * _DEEP),
    "deep-objects": http('{"a":' * _DEEP + "1" + "}" * _DEEP),
    "deep-content": with_raw("[" * 900 + "]" * 900),
    "deep-error": http('{"error":' * 900 + "1" + "}" * 900),
    "deep-error-500": http('{"error":' * 900 + "1" + "}" * 900, "500 X"),
    "digits": http('{"choices": ' + "9" * 5000 + "}"),
    "digits-in-usage": http(json.dumps(completion()).replace("10", "9" * 5000)),
    "no-choices": http({}),
    "choices-null": http({"choices": None}),
    "choices-empty": http({"choices": []}),
    "choices-number": http({"choices": 7}),
    "choices-object": http({"choices": {"0": completion()["choices"][0]}}),
    "choice-null": http({"choices": [None]}),
    "choice-string": http({"choices": ["x"]}),
    "message-null": http({"choices": [{"message": None}]}),
    "message-list": http({"choices": [{"message": []}]}),
    "content-number": http(completion(12)),
    "content-object": http(completion({"text": "x"})),
    "content-mixed-list": http(completion([{"text": "x"}, "y"])),
    "error-in-200": http({"error": {"message": "\x1b[2Jboo\r\x07", "code": 503}}),
    "error-text": http({"error": "x" * 100_000}),
    "finish-error": http(completion(finish_reason="error")),
    "not-utf8": http(b'{"choices": "\xff\xfe\x80"}'),
    "utf16-bom": http(b"\xff\xfe" + "{}".encode("utf-16-le")),
    "status-500-ansi": http(b"\x1b]0;owned\x07\x1b[2J\x9b31m" + "\u202e".encode(), "500 \x1b[1mX"),
    "status-401-echo": http(f"bad key {KEY}", "401 Unauthorized"),
    "status-404": http({"error": {"message": "no such model"}}, "404 X"),
    "status-600": http(b"x", "600 X"),
    "status-999": http(b"x", "999 X"),
    "status-204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status-304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "retry-after-days": http(b"x", "429 X", "Retry-After: 864000"),
    "retry-after-digits": http(b"x", "429 X", "Retry-After: " + "9" * 400),
    "retry-after-year": http(b"x", "503 X", "Retry-After: Mon, 01 Jan 999999999999 00:00:00 GMT"),
    "retry-after-far": http(b"x", "503 X", "Retry-After: Fri, 31 Dec 9999 23:59:59 -2359"),
    "too-long": http(b" " * (8 * 2**20) + _BODY),
    "long-text": http(completion("x" * (5 * 2**20))),
    "gzip-bomb": http(gzip.compress(b" " * (2**28)), "200 OK", "Content-Encoding: gzip"),
    "gzip-cut": http(gzip.compress(_BODY)[:-20], "200 OK", "Content-Encoding: gzip"),
    "gzip-lie": http(_BODY, "200 OK", "Content-Encoding: gzip"),
    "gzip-twice": http(
        gzip.compress(gzip.compress(_BODY)), "200 OK", "Content-Encoding: gzip, gzip"
    ),
    "brotli": http(b"\x8b\x00\x80a\x03", "200 OK", "Content-Encoding: br"),
    "unknown-encoding": http(_BODY, "200 OK", "Content-Encoding: \x9b31m"),
    "length-too-long": http(_BODY, length=len(_BODY) + 100),
    "length-huge": http(_BODY, length=10**15),
    "length-negative": GOOD.replace(b"Content-Length: ", b"Content-Length: -"),
    "length-twice": GOOD.replace(b"Content-Length", b"Content-Length: 3\r\nContent-Length"),
    "no-http": b"hello\r\n\r\n",
    "binary": bytes(range(256)) * 40,
    "nothing": b"",
    "half-head": b"HTTP/1.1 200 OK\r\nContent-",
    "long-head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500_000 + b"\r\n\r\n",
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    "chunk-size-lie": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\nab",
    "chunk-size-text": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "redirect-bad": http(b"", "302 X", "Location: http://[::1:bad"),
    "redirect-script": http(b"", "302 X", "Location: javascript:alert(1)"),
    "redirect-file": http(b"", "301 X", "Location: file:///etc/passwd"),
}
"""Responses that hold no completion."""

ANSWERED: dict[str, bytes] = {
    "good": GOOD,
    "http-9": GOOD.replace(b"HTTP/1.1", b"HTTP/9.9"),
    "chunks-of-one": chunked([bytes([byte]) for byte in _BODY]),
    "gzip": http(gzip.compress(_BODY), "200 OK", "Content-Encoding: gzip"),
    "deflate": http(zlib.compress(_BODY), "200 OK", "Content-Encoding: deflate"),
    "content-type-html": GOOD.replace(b"application/json", b"text/html"),
    "content-type-odd": GOOD.replace(b"application/json", b"\xff; charset=\x9b"),
    "no-usage": http({"choices": completion()["choices"]}),
    "usage-null": http({**completion(), "usage": None}),
    "usage-digits": http(json.dumps(completion()).replace("10", "9" * 4000)),
    "usage-negative": http(
        {**completion(), "usage": {"prompt_tokens": -5, "completion_tokens": 1e3}}
    ),
    "many-choices": http({**completion(), "choices": completion()["choices"] * 1000}),
    "surrogate": with_raw(json.dumps(GOOD_TEXT)[:-1] + '\\ud800"'),
    "controls": with_raw(json.dumps(GOOD_TEXT + "\x1b[2J\x00\r\x9b\u202e")),
    "empty-text": http(completion("")),
    "content-null": http(completion(None)),
    "content-parts": http(completion([{"type": "text", "text": GOOD_TEXT}])),
    "finish-ansi": http(completion(finish_reason="\x1b[2J\u202e" * 1000)),
    "finish-number": http(completion(finish_reason=7)),
    "extra-fields": http({**completion(), "x": [[1]] * 1000}),
    "informational": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + GOOD,
    "cookie": GOOD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=" + b"b" * 4000 + b"\r\n\r\n", 1),
    "echo-key": http(completion(GOOD_TEXT + KEY)),
}
"""Odd responses that hold a completion."""


def drip(piece: bytes, first: bytes = b"") -> Callable[[Any], None]:
    """Send one piece again and again, slowly."""

    def behave(connection: Any) -> None:
        connection.sendall(first)
        for _ in range(2000):
            connection.sendall(piece)
            time.sleep(0.01)

    return behave


def flood(piece: bytes, first: bytes = b"") -> Callable[[Any], None]:
    """Send one piece without end, fast."""

    def behave(connection: Any) -> None:
        connection.sendall(first)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection.sendall(piece)

    return behave


_HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Callable[[Any], Any]] = {
    "drip-status": drip(b"H"),
    "drip-headers": drip(b"X: y\r\n", _HEAD),
    "drip-body": drip(b" ", _HEAD + b"Content-Length: 1000000\r\n\r\n"),
    "drip-chunks": drip(b"1\r\n \r\n", _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
    "drip-informational": drip(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "silence": lambda connection: time.sleep(20),
    "silence-after-head": lambda connection: (connection.sendall(_HEAD), time.sleep(20)),
    "flood-body": flood(b" " * 65536, _HEAD + b"\r\n"),
    "flood-headers": flood(b"X: y\r\n" * 1000, _HEAD),
    "flood-informational": flood(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "flood-chunks": flood(b"1\r\n \r\n" * 1000, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
}
"""Servers that never finish a response."""


def mutated(seed: int) -> bytes:
    """A response with random damage to its bytes."""
    rng = random.Random(seed)  # noqa: S311
    data = bytearray(rng.choice([GOOD, chunked([_BODY[:50], _BODY[50:]]), ANSWERED["gzip"]]))
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        start = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[start] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[start:start] = rng.randbytes(rng.choice([1, 3, 50]))
        elif kind == 2:
            del data[start : start + rng.choice([1, 5, 100])]
        elif kind == 3:
            data[start:start] = data[start : start + 60] * rng.choice([1, 20])
        else:
            del data[start:]
    return bytes(data)


class _Handler(socketserver.StreamRequestHandler):
    """One request: the path names the behaviour, and how many good responses come before."""

    def handle(self) -> None:
        head = [self.rfile.readline(65537)]
        if not head[0]:
            return
        length = 0
        while (line := self.rfile.readline(65537)) not in (_CRLF, b""):
            head.append(line)
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        owner: Any = self.server
        parts = head[0].split()[1].decode().split("/")
        if parts[1] == "canary":
            with owner.lock:
                owner.canary += 1
            return
        if parts[-1] == "models":
            self.wfile.write(http({"data": [{"id": "\x1b[2Jm"}, {"id": 7}, None]}))
            return
        name, good, attempt = parts[1], int(parts[2]), parts[3]
        with owner.lock:
            owner.seen[attempt] += 1
            is_good = owner.seen[attempt] <= good
        if is_good:
            self.wfile.write(GOOD)
        elif name in SLOW:
            SLOW[name](self.connection)
        elif name.startswith("mutated"):
            self.wfile.write(mutated(int(name.removeprefix("mutated"))))
        elif name == "redirect":
            port = owner.server_address[1]
            self.wfile.write(http(b"", "307 X", f"Location: http://127.0.0.1:{port}/canary/v1"))
        else:
            self.wfile.write({**REFUSED, **ANSWERED}[name])


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.seen: Counter[str] = Counter()
        self.canary = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client may end a connection at any time."""


def _serve(pipe: Any) -> None:
    server = _Server()
    pipe.send(server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    pipe.recv()
    pipe.send(server.canary)


@contextmanager
def hostile_server() -> Iterator[tuple[int, Callable[[], int]]]:
    """A server in a process of its own.

    Yields:
        Its port; and a function that ends it and returns how often its `canary` path was requested.
    """
    context = multiprocessing.get_context("fork")
    own, other = context.Pipe()
    process = context.Process(target=_serve, args=(other,), daemon=True)
    process.start()

    def end() -> int:
        own.send(None)
        return own.recv()

    try:
        yield own.recv(), end
    finally:
        process.kill()
        process.join()
