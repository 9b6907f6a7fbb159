"""Limits on what a server can send."""

import gzip
import json
import time

import pytest

pytest.importorskip("httpx2")

from maniplvm.evaluation.predictors.server.chat import parse_completion
from maniplvm.evaluation.predictors.server.connection import Connection
from maniplvm.evaluation.predictors.server.errors import (
    AttemptError,
    FailureAction,
    http_error,
    retry_after,
)
from tests.evaluation.predictors.server.chat_server import completion, saying, serving, status

BODY = {"messages": []}


def failure(behaviour, **settings):
    with serving(default=behaviour) as server:
        connection = Connection(server.url, **settings)
        with pytest.raises(AttemptError) as caught:
            connection.complete(BODY)
        connection.close()
    assert "\n" not in caught.value.message
    assert caught.value.message.isprintable()
    return caught.value


def completed(behaviour):
    with serving(default=behaviour) as server:
        connection = Connection(server.url)
        text = connection.complete(BODY).text
        connection.close()
    return text


def encoded(data, encoding):
    """A behaviour: respond with a body that is declared as compressed."""

    def respond(handler, request):
        handler.respond(200, data, {"Content-Encoding": encoding})

    return respond


def raw(data, seconds=0.0):
    """A behaviour: write these bytes again and again."""

    def behave(handler, request):
        end = time.monotonic() + seconds
        while True:
            handler.wfile.write(data)
            if time.monotonic() >= end:
                break
            time.sleep(0.02)
        handler.close_connection = True

    return behave


@pytest.mark.parametrize(
    "piece", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n"]
)
def test_headers_that_drip_end_at_the_time_limit(piece):
    start = time.monotonic()
    found = failure(raw(piece, 20), timeout_s=0.4, connect_timeout_s=0.4)
    assert found.message == "no whole response within 0.4 s" or "lost" in found.message
    assert time.monotonic() - start < 5


def test_a_compressed_response_is_read_and_a_bomb_is_not():
    body = json.dumps(completion("x")).encode()
    assert completed(encoded(gzip.compress(body), "gzip")) == "x"
    bomb = gzip.compress(b" " * 2**26)
    assert failure(encoded(bomb, "gzip")).message == "the response is longer than 4 MiB"
    twice = encoded(gzip.compress(bomb), "gzip, gzip")
    assert "compressed as 'gzip, gzip', which was not requested" in failure(twice).message
    assert "incomplete" in failure(encoded(gzip.compress(body)[:-12], "gzip")).message
    assert "cannot be decompressed" in failure(encoded(body, "gzip")).message


def test_a_redirect_is_not_followed_and_the_key_stays(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    with serving() as other:
        found = failure(status(307, "", Location=other.url + "/chat/completions"))
        assert not other.requests
    assert found.action is FailureAction.STOP
    assert "the server redirects" in found.message


def test_a_key_in_a_completion_is_not_stored(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    assert completed(saying(completion("my key is sk-secret-key"))) == "my key is ***"


@pytest.mark.parametrize(
    "body",
    ['{"choices": NaN}', '{"a": ' + "9" * 5000 + "}", "[" * 10**5, '{"a":' * 900 + "1" + "}" * 900],
)
def test_malformed_json_is_one_line(body):
    assert "the response" in failure(saying(body)).message
    assert "HTTP 500" in failure(status(500, body)).message


def test_an_error_with_control_characters_is_shown_as_text():
    found = failure(status(500, json.dumps({"error": {"message": "\x1b[2J\u202eboo\r"}})))
    assert found.message == "HTTP 500, ␛[2J�boo"


def test_a_text_that_cannot_be_encoded_is_repaired():
    found = parse_completion(json.loads(json.dumps(completion("a\ud800b", finish="\x1b" * 90))))
    assert found.text == "a\ufffdb"
    assert found.finish == "␛" * 40 + "…"


def test_an_absurd_token_count_is_not_believed():
    found = parse_completion(completion("x", prompt_tokens=10**4000, tokens=-1))
    assert found.prompt_tokens is None
    assert found.completion_tokens is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("-5", None),
        ("", None),
        ("soon", None),
        ("9" * 400, float("inf")),
        ("٣", None),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("12", 12.0),
    ],
)
def test_any_retry_after_is_parsed_or_ignored(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_a_deep_error_is_shortened():
    body = {"error": "x"}
    for _ in range(900):
        body = {"message": body}
    assert len(http_error(500, body, None).message) < 400
