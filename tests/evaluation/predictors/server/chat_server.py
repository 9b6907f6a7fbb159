"""A small chat-completions server for tests, with configurable failures."""

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.evaluation.scenery import answer_text


def completion(text, finish="stop", prompt_tokens=100, tokens=7, **message):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": tokens},
    }


def own_answer(body):
    """An answer that depends only on the request, so that two runs can be compared."""
    asked = json.dumps([body["messages"], body.get("seed")]).encode()
    x, y = (10 + byte % 200 for byte in hashlib.sha256(asked).digest()[:2])
    text = body["messages"][0]["content"][1]["text"]
    return answer_text(
        [x, y, x + 300, y + 200]
        if "Box:" in text or "tightest box" in text
        else [[x, y], [x + 50, y], [x + 90, y + 70]]
    )


def status(code, body="", **headers):
    """A behaviour: respond with this status."""
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda handler, request: handler.respond(code, text.encode(), headers)


def saying(body):
    """A behaviour: respond with this JSON or string."""
    return status(200, body)


def stalling(seconds):
    """A behaviour: wait this long, then close the connection."""

    def behave(handler, request):
        time.sleep(seconds)
        handler.close_connection = True

    return behave


def dripping(seconds):
    """A behaviour: send bytes slowly and never finish."""

    def behave(handler, request):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(int(seconds / 0.05)):
            handler.wfile.write(b" ")
            time.sleep(0.05)
        handler.close_connection = True

    return behave


def truncated(handler, request):
    """A behaviour: send less than the declared length."""
    text = json.dumps(completion(own_answer(request))).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text[: len(text) // 2])
    handler.close_connection = True


def hanging_up(handler, request):
    """A behaviour: close the connection without a response."""
    handler.close_connection = True


class ChatServer:
    """Completes requests; `script` maps the number of a request to another behaviour."""

    def __init__(self, script=None, default=None, delay=0.0, models=("m",)):
        self.script, self.default, self.delay, self.models = script or {}, default, delay, models
        self.requests, self.headers, self.answered, self.busiest = [], [], 0, 0
        self._lock, self._busy, self._server = threading.Lock(), 0, None
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def respond(self, code, content, headers=()):
                self.send_response(code)
                for name, value in dict(headers).items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self):
                listed = {"data": [{"id": name} for name in outer.models]}
                self.respond(200, json.dumps(listed).encode())

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.serve(self, request)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # the client closed the connection

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def serve(self, handler, request):
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.headers.append(dict(handler.headers))
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            time.sleep(self.delay)
            behave = self.script.get(number, self.default)
            if behave is not None:
                behave(handler, request)
                return
            handler.respond(200, json.dumps(completion(own_answer(request))).encode())
            with self._lock:
                self.answered += 1
        finally:
            with self._lock:
                self._busy -= 1


@contextmanager
def serving(*arguments, **settings):
    server = ChatServer(*arguments, **settings).start()
    try:
        yield server
    finally:
        server.stop()
