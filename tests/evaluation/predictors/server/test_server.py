import base64
import io
import json
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("httpx2")

from PIL import Image

from maniplvm.errors import UserError
from maniplvm.evaluation import Selection, evaluate
from maniplvm.evaluation.predictors.server import (
    Prices,
    RetryPolicy,
    ServerPredictor,
    record_usage,
    sum_usage,
)
from maniplvm.geometry import resolve_frame
from maniplvm.models import Decoding
from maniplvm.tasks import Task
from tests.cli.images import png
from tests.evaluation.predictors.server.chat_server import (
    ChatServer,
    completion,
    dripping,
    hanging_up,
    own_answer,
    saying,
    serving,
    stalling,
    status,
    truncated,
)
from tests.evaluation.scenery import sample, small_set, stored

QUICK = RetryPolicy(
    max_retries=4, initial_wait_s=0.01, max_wait_s=0.05, timeout_s=5, max_consecutive_failures=3
)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def predictor(server, model="qwen3-vl-tiny", **settings):
    return ServerPredictor(model, server.url, **{"retry_policy": QUICK, **settings})


def answers(predictor, samples):
    return {prediction.key: prediction for prediction in predictor.predict(samples)}


def test_every_sample_is_one_request():
    samples = small_set()
    with serving() as server:
        found = answers(predictor(server), samples)
    assert sorted(found) == sorted((each.id, 0) for each in samples)
    assert len(server.requests) == 16
    assert all(prediction.frame == "qwen3_vl" for prediction in found.values())
    assert {
        (prediction.tokens, prediction.prompt_tokens, prediction.finish)
        for prediction in found.values()
    } == {(7, 100, "stop")}


def test_a_request_holds_the_image_the_prompt_and_the_decoding():
    with serving() as server:
        answers(predictor(server), [sample(Task.AFFORDANCE)])
        warm = Decoding(temperature=0.7, top_p=0.9, max_new_tokens=33)
        extra = {"top_k": 20, "max_tokens": None, "max_completion_tokens": 33}
        answers(predictor(server, decoding=warm, extra=extra), [sample(Task.AFFORDANCE)])
    greedy, sampled = server.requests
    image, text = greedy["messages"][0]["content"]
    kind, data = image["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == sample(Task.AFFORDANCE).image
    assert "open it, please" in text["text"]
    assert "from 0 to 1000" in text["text"]
    assert greedy["model"] == "qwen3-vl-tiny"
    assert (greedy["temperature"], greedy["max_tokens"]) == (0, 256)
    assert not {"top_p", "seed", "n", "stream"} & set(greedy)
    assert (sampled["temperature"], sampled["top_p"], sampled["top_k"]) == (0.7, 0.9, 20)
    assert sampled["max_completion_tokens"] == 33
    assert "max_tokens" not in sampled


def test_the_seed_of_a_draw_depends_only_on_seed_sample_and_draw():
    warm = Decoding(temperature=1)
    samples = small_set()[:3]
    with serving() as server:
        first = answers(predictor(server, decoding=warm, draws=3), samples)
        seeds = {request["seed"] for request in server.requests}
        again = answers(predictor(server, decoding=warm, draws=3, concurrency=1), samples[::-1])
        other = answers(predictor(server, decoding=warm, draws=3, seed=1), samples)
    assert len(seeds) == 9
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert first == again
    assert first != other


def test_a_completed_draw_is_not_requested_again():
    samples = small_set()[:2]
    sampled = {"decoding": Decoding(temperature=1), "draws": 2}
    with serving() as server:
        resumed = predictor(server, **sampled)
        resumed.skip_completed([(samples[0].id, 1)])
        assert (samples[0].id, 1) not in answers(resumed, samples)
    assert len(server.requests) == 3


def test_requests_are_concurrent_and_samples_are_streamed():
    read, most_ahead = 0, 0
    server = ChatServer(delay=0.02)

    def streamed():
        nonlocal read, most_ahead
        for each in small_set(scenes=4):
            read += 1
            most_ahead = max(most_ahead, read - server.answered)
            yield each

    server.start()
    try:
        assert len(answers(predictor(server, concurrency=4), streamed())) == 32
    finally:
        server.stop()
    assert 2 <= server.busiest <= 4
    assert most_ahead <= 2 * 4 + 1 + 4  # a reply may be counted after the next sample is read


def test_the_rate_limit_holds():
    start = time.monotonic()
    with serving() as server:
        answers(predictor(server, per_minute=60 * 20), small_set()[:8])
    assert time.monotonic() - start > 7 / 20


@pytest.mark.parametrize(
    "behave",
    [
        status(500, "<html>oops</html>"),
        status(503, {"error": {"message": "overloaded"}}),
        status(429, {"error": {"message": "slow down"}}, Retry_After="0.05"),
        status(200, "<html>a proxy's page</html>"),
        saying('{"choices": [{"mess'),
        saying({"choices": []}),
        saying({"error": {"message": "upstream died", "code": 502}}),
        saying({"choices": [{"finish_reason": "error", "message": {"content": ""}}]}),
        saying([1]),
        saying({"choices": [{"message": {"content": 7}}]}),
        truncated,
        hanging_up,
    ],
    ids=lambda behave: None,
)
def test_a_response_without_completion_is_retried(behave):
    samples = small_set()[:4]
    notices = []
    with serving(script={0: behave, 2: behave}) as server:
        found = answers(predictor(server, notice=notices.append), samples)
        assert len(server.requests) == 6
    assert {key: prediction.text for key, prediction in found.items()} == {
        (each.id, 0): own_answer(body) for each, body in by_sample(server, samples)
    }
    assert notices
    assert all("retrying" in line for line in notices)


def by_sample(server, samples):
    """The request of each sample."""
    for each in samples:
        url = "data:image/png;base64," + base64.b64encode(each.image).decode()
        kind = "tightest box" if each.task is Task.AFFORDANCE else "Plan the path"
        yield (
            each,
            next(
                body
                for body in server.requests
                if body["messages"][0]["content"][0]["image_url"]["url"] == url
                and kind in body["messages"][0]["content"][1]["text"]
                and each.instruction in body["messages"][0]["content"][1]["text"]
            ),
        )


@pytest.mark.parametrize("behave", [stalling(30), dripping(30)], ids=["stalling", "dripping"])
def test_a_timeout_is_retried(behave):
    short = replace(QUICK, timeout_s=0.3)
    start = time.monotonic()
    with serving(script={0: behave}) as server:
        assert len(answers(predictor(server, retry_policy=short), small_set()[:2])) == 2
    assert 0.25 < time.monotonic() - start < 20


def test_retry_after_holds_for_all_requests():
    busy = status(429, "", Retry_After="0.4")
    with serving(script={0: busy}) as server:
        start = time.monotonic()
        waiting = predictor(server, concurrency=1)
        answers(waiting, small_set()[:2])
    assert time.monotonic() - start > 0.4


def test_retry_after_may_be_a_date():
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    from maniplvm.evaluation.predictors.server.errors import retry_after

    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < retry_after({"retry-after": later}) <= 30
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def test_backoff_grows_and_differs_between_requests():
    from maniplvm.evaluation.predictors.server.retries import backoff

    waits = [backoff(attempt, 1, 60, "a") for attempt in range(1, 10)]
    for attempt, wait in enumerate(waits):
        assert min(60, 2**attempt) / 2 <= wait <= min(60, 2**attempt)
    assert len({backoff(1, 1, 60, str(name)) for name in range(20)}) == 20


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        (completion("nonsense {", "stop"), "nonsense {", "stop"),
        (completion("<think>so many wo", "length"), "<think>so many wo", "length"),
        (completion("", "stop"), "", "stop"),
        (completion(None, "stop"), "", "stop"),
        (completion(None, "stop", refusal="I may not."), "I may not.", "refusal"),
        (completion(None, "content_filter"), "", "content_filter"),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop"),
        (completion("b", reasoning_content="a"), "<think>a</think>b", "stop"),
        (completion("<think>a</think>b", reasoning="x"), "<think>a</think>b", "stop"),
        (completion(None, reasoning_content="a"), "<think>a</think>", "stop"),
        (
            completion(None, reasoning_content="<answer>[1, 2, 3, 4]</answer>"),
            "<answer>[1, 2, 3, 4]</answer>",
            "stop",
        ),
        (
            completion("", reasoning="<think>a</think><answer>[1, 2, 3, 4]</answer>"),
            "<think>a</think><answer>[1, 2, 3, 4]</answer>",
            "stop",
        ),
    ],
)
def test_an_unusual_completion_is_kept(body, text, finish):
    with serving(default=saying(body)) as server:
        (prediction,) = predictor(server).predict(small_set()[:1])
    assert (prediction.text, prediction.finish) == (text, finish)
    assert len(server.requests) == 1


def test_a_filtered_request_gives_an_empty_completion():
    behave = status(
        400, {"error": {"code": "content_filter", "message": "The prompt was filtered"}}
    )
    with serving(script={0: behave}) as server:
        found = answers(predictor(server), small_set()[:3])
    assert sorted(prediction.finish for prediction in found.values()) == [
        "content_filter",
        "stop",
        "stop",
    ]


@pytest.mark.parametrize(
    ("behave", "message"),
    [
        (
            status(404, {"error": {"message": "no model x"}}),
            r"404, no model x; .*; it serves m; 0 ",
        ),
        (
            status(401, {"error": {"message": "bad key sk-secret"}}),
            r"401, bad key \*\*\*; set the v",
        ),
        (
            status(402, {"error": {"message": "no credit"}}),
            "402, no credit; 0 completions are stored",
        ),
        (status(429, {"error": {"code": "insufficient_quota"}}), "HTTP 429, .*; 0 completions"),
        (status(301, "", Location="http://elsewhere"), "redirects to another address"),
        (status(429, "", Retry_After="7200"), "requests a wait of 7200 s"),
    ],
)
def test_a_fatal_error_stops_at_once(monkeypatch, behave, message):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving(default=behave) as server, pytest.raises(UserError, match=message) as stopped:
        answers(predictor(server, concurrency=1, key_variable="MY_KEY"), small_set())
    assert len(server.requests) <= 2
    assert "\n" not in str(stopped.value)


def test_an_unreachable_server_is_reported_at_once():
    server = ChatServer().start()
    server.stop()
    with pytest.raises(
        UserError, match=r"no connection .*; check that the server runs at this address"
    ):
        answers(predictor(server), small_set())


def test_skipped_requests_are_reported_after_the_others_are_completed():
    refusing = status(413, {"error": {"message": "image too large"}})
    got = []
    with (
        serving(script={3: refusing, 9: refusing}) as server,
        pytest.raises(
            UserError,
            match=r"2 requests failed.*image too large; 14 completions are stored",
        ),
    ):
        got.extend(predictor(server).predict(small_set()))
    assert len(got) == 14
    assert len(server.requests) == 16  # refused ones are not asked again


def test_too_many_failures_in_a_row_stop_and_keep_the_completions():
    got = []
    script = dict.fromkeys(range(5))
    with (
        serving(script=script, default=status(500, "down")) as server,
        pytest.raises(
            UserError, match=r"3 requests in a row failed, .* HTTP 500, down; 5 completions"
        ),
    ):
        got.extend(predictor(server, concurrency=1).predict(small_set()))
    assert len(got) == 5
    spent = 5 + 3 * (1 + QUICK.max_retries)
    # The thread may have sent its next question once before the third failure was read.
    assert spent <= len(server.requests) <= spent + 1


def test_a_server_restart_loses_no_completion(tmp_path):
    server = ChatServer(delay=0.02).start()

    def die_and_return():
        while server.answered < 6:
            time.sleep(0.005)
        server.stop()
        time.sleep(0.3)
        server.start()

    script = threading.Thread(target=die_and_return)
    script.start()
    persistent = replace(QUICK, max_retries=20, max_wait_s=0.1)
    try:
        found = answers(predictor(server, retry_policy=persistent, concurrency=2), small_set())
    finally:
        script.join()
        server.stop()
    assert len(found) == 16


def test_another_server_resumes_and_no_request_is_repeated(tmp_path):
    data = stored(tmp_path / "data", small_set())
    with (
        serving(script=dict.fromkeys(range(6)), default=hanging_up) as dying,
        pytest.raises(UserError, match="6 completions are stored; run the same command again"),
    ):
        evaluate(predictor(dying, concurrency=1), data, tmp_path / "out")
    with serving() as healthy:
        result = evaluate(predictor(healthy), data, tmp_path / "out")
        whole = evaluate(predictor(healthy), data, tmp_path / "whole")
    assert result.resumed == 6
    assert len(healthy.requests) == 10 + 16
    assert result.splits == whole.splits
    texts = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("out", "whole")]
    assert texts[0] == texts[1]
    usage = record_usage(tmp_path / "out", "m", Prices(2, 10))
    assert (usage.completions, usage.prompt_tokens, usage.completion_tokens) == (16, 1600, 112)
    plain = json.loads((tmp_path / "out" / "usage.json").read_text())
    assert plain["cost"] == pytest.approx((1600 * 2 + 112 * 10) / 1e6)
    assert plain["finish"] == {"stop": 16}


def test_an_interruption_keeps_the_completions_that_arrived():
    def samples():
        yield from small_set()[:4]
        time.sleep(0.5)
        raise KeyboardInterrupt

    got = []
    with serving() as server, pytest.raises(KeyboardInterrupt):
        got.extend(predictor(server).predict(samples()))
    assert len(got) == 4


def test_an_error_while_reading_samples_keeps_pending_completions():
    def samples():
        yield from small_set()[:4]
        raise UserError("damaged")

    got = []
    with serving(delay=0.1) as server, pytest.raises(UserError, match="damaged"):
        got.extend(predictor(server).predict(samples()))
    assert len(got) == 4


def test_the_key_comes_from_the_environment_and_is_shown_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-standard")
    monkeypatch.setenv("MY_KEY", " sk-own\n")
    data = stored(tmp_path / "data", small_set()[:2])
    with serving() as server:
        served = predictor(server)
        evaluate(served, data, tmp_path / "out")
        answers(predictor(server, key_variable="MY_KEY"), small_set()[:1])
        assert "sk-" not in repr(served)
    sent = [headers["Authorization"] for headers in server.headers]
    assert sent == ["Bearer sk-standard", "Bearer sk-standard", "Bearer sk-own"]
    written = [path.read_text() for path in (tmp_path / "out").iterdir()]
    assert not any("sk-" in text for text in written)


def test_the_default_key_is_not_sent_unencrypted_to_another_machine(monkeypatch):
    from maniplvm.evaluation.predictors.server.connection import Connection

    monkeypatch.setenv("OPENAI_API_KEY", "sk-standard")
    for url, sent in [
        ("http://192.0.2.1/v1", False),
        ("https://192.0.2.1/v1", True),
        ("http://localhost:1/v1", True),
    ]:
        connection = Connection(url)
        assert ("Authorization" in connection._client.headers) is sent
        connection.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "some-model"}, "its family cannot be read from its name; give --family, one of"),
        ({"family": "nobody"}, "unknown model family 'nobody'"),
        ({"draws": 2}, "2 greedy draws would be identical"),
        ({"draws": 0}, "--draws and --concurrency must be at least 1"),
        ({"concurrency": 0}, "--draws and --concurrency must be at least 1"),
        ({"per_minute": 0}, "--requests-per-minute must be above 0"),
        ({"extra": {"n": 4}}, "--extra: n is reserved"),
        ({"model": "m", "family": "pixels", "max_pixels": 9999}, "pixels of the original image"),
        ({"model": "qwen2.5-vl", "max_pixels": 9}, "one image token covers 28 x 28"),
    ],
)
def test_invalid_settings_give_one_clear_line(settings, message):
    with serving() as server, pytest.raises(UserError, match=message):
        predictor(server, **settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000/v1", "expected a URL such as"),
        ("ftp://x/v1", "expected a URL such as"),
        ("http://user:sk-secret@x/v1", "the URL must not contain a key"),
        ("http://x:99999/v1", "not a valid URL"),
    ],
)
def test_an_invalid_url_gives_one_clear_line(url, message):
    with pytest.raises(UserError, match=message) as error:
        ServerPredictor("qwen3-vl", url)
    assert "sk-secret" not in str(error.value)


def test_the_key_variable_must_be_set(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with serving() as server, pytest.raises(UserError, match="NO_SUCH_KEY: that environment"):
        answers(predictor(server, key_variable="NO_SUCH_KEY"), small_set())


@pytest.mark.parametrize("number", [-1, 0])
def test_a_retry_policy_has_limits(number):
    with pytest.raises(UserError, match="--timeout"):
        RetryPolicy(timeout_s=number)
    with pytest.raises(UserError, match="--retries"):
        RetryPolicy(max_consecutive_failures=number)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_5_vl"),
        ("qwen2-vl-7b", "qwen2_vl"),
        ("my_Qwen3_VL-8B-run7", "qwen3_vl"),
        ("BAAI/RoboBrain2.0-7B", "robobrain2"),
        ("gemini-robotics-er-1.5-preview", "gemini_er"),
        ("allenai/MolmoAct-7B-D", "molmoact"),
    ],
)
def test_a_family_is_read_from_the_models_name(name, family):
    served = ServerPredictor(name, "http://127.0.0.1:1/v1")
    assert served.settings["family"] == family
    assert "read from its name" in str(served.family)
    given = ServerPredictor(name, "http://127.0.0.1:1/v1", family="unit")
    assert (given.settings["family"], given.family.reason) == ("unit", "as given")


@pytest.mark.parametrize(
    ("model", "sent"), [("qwen2.5-vl", (252, 168)), ("qwen3-vl", (252, 189)), (None, (640, 480))]
)
def test_a_large_image_is_resized_before_it_is_sent(model, sent):
    large = replace(sample(Task.AFFORDANCE), image=png(640, 480), image_size=(640, 480))
    limit = {} if model is None else {"max_pixels": 48000}
    with serving() as server:
        (prediction,) = predictor(server, model or "qwen2.5-vl", **limit).predict([large])
    url = server.requests[0]["messages"][0]["content"][0]["image_url"]["url"]
    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as opened:
        assert opened.size == sent
    frame = resolve_frame(prediction.frame, (640, 480))
    corner = frame.decode([frame.limits]).tolist()[0]
    assert corner == pytest.approx([640, 480])
    if model == "qwen2.5-vl":
        assert frame.limits == sent  # what is sent is what the server's own resize leaves as it is
        assert frame.view.seen == resolve_frame("qwen2_5_vl", sent).view.seen


def test_missing_and_damaged_images_are_named_and_the_others_completed():
    good = small_set()[:4]
    bad = [
        replace(good[0], id="without", image=None),
        replace(good[0], id="torn", image=good[0].image[:60]),
    ]
    got = []
    with serving() as server, pytest.raises(UserError, match="2 requests failed"):
        got.extend(predictor(server).predict([*bad, *good]))
    assert {prediction.id for prediction in got} == {each.id for each in good}
    with serving() as server:
        with pytest.raises(UserError, match=r"sample without: .* it has no image; import"):
            answers(predictor(server), bad[:1])
        with pytest.raises(UserError, match=r"sample torn.*is damaged"):
            answers(predictor(server), bad[1:])
        wrong = replace(good[0], image_size=(99, 48))
        with pytest.raises(UserError, match="its image is 64x48, but the data set says 99x48"):
            answers(predictor(server), [wrong])


def test_usage_counts_what_the_server_did_not_count():
    with serving(
        script={
            0: saying({"choices": [{"message": {"content": " "}}]}),
            1: saying(completion("cut", "length")),
        }
    ) as server:
        usage = sum_usage(predictor(server, concurrency=1).predict(small_set()[:3]))
    assert (usage.completions, usage.uncounted, usage.prompt_tokens) == (3, 1, 200)
    assert usage.finish == {"empty": 1, "length": 1, "stop": 1}
    assert usage.cost(Prices(1e6, 0)) == 200


def test_another_frame_of_the_same_model_is_another_evaluation(tmp_path):
    data = stored(tmp_path / "data", small_set())
    with serving() as server:
        some = Selection(task="affordance")
        evaluate(predictor(server), data, tmp_path / "out", selection=some)
        other = predictor(server, family="unit")
        with pytest.raises(UserError, match=r'decoding\.family was "qwen3_vl", now "unit"'):
            evaluate(other, data, tmp_path / "out", selection=some)


def embedded_error(code, **more):
    return saying({"error": {"message": "upstream said no", "code": code, **more}})


@pytest.mark.parametrize("code", [401, 402, "403"])
def test_a_fatal_error_inside_status_200_stops_at_once_with_its_code(code):
    for _ in range(5):
        with serving(default=embedded_error(code)) as server:
            with pytest.raises(UserError, match=f"HTTP {code}, upstream said no"):
                list(predictor(server, concurrency=1).predict(small_set()))
            assert len(server.requests) == 1


def test_after_a_fatal_error_no_thread_sends_a_new_request():
    with serving(default=status(401, "no key"), delay=0.05) as server:
        with pytest.raises(UserError, match="HTTP 401, no key"):
            list(predictor(server, concurrency=4).predict(small_set()))
        assert len(server.requests) <= 4


def test_a_transient_error_inside_status_200_is_retried(tmp_path):
    notices = []
    with serving(script={0: embedded_error(429)}) as server:
        found = list(predictor(server, notice=notices.append).predict(small_set()[:1]))
    assert len(found) == 1
    assert notices == ["HTTP 429, upstream said no; retrying"]


def test_an_error_inside_a_choice_has_its_code():
    body = completion("", finish="error")
    body["choices"][0]["error"] = {"message": "provider is down", "code": 502}
    notices = []
    with serving(script={0: saying(body)}) as server:
        list(predictor(server, notice=notices.append).predict(small_set()[:1]))
    assert notices == ["HTTP 502, provider is down; retrying"]


def test_an_error_without_a_code_claims_no_status():
    notices = []
    with serving(script={0: saying({"error": "overloaded"})}) as server:
        list(predictor(server, notice=notices.append).predict(small_set()[:1]))
    assert notices == ["the response holds an error: overloaded; retrying"]


@pytest.mark.parametrize(("finish", "expected"), [("stop", 1), ("length", 0)])
def test_reasoning_without_an_answer_is_reported_once(finish, expected):
    notices = []
    body = completion(None, finish=finish, reasoning_content="the knob is left")
    with serving(default=saying(body)) as server:
        list(predictor(server, notice=notices.append).predict(small_set()[:3]))
    assert len([text for text in notices if "reasoning and no answer" in text]) == expected
