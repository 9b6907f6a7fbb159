"""Completions of a real server are equal to those of the local model."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("httpx2")
pytest.importorskip("fastapi")
pytest.importorskip("openai")
pytest.importorskip("uvicorn")

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation import ModelPredictor, Selection, evaluate
from maniplvm.evaluation.predictors.server import RetryPolicy, ServerPredictor, sum_usage
from maniplvm.models.shipped import shipped_folder

ROOT = Path(__file__).parents[4]
SHIPPED = ROOT / "datasets" / "sim-small"
LAUNCHER = Path(__file__).with_name("serve_transformers.py")
MOST_S = 240  # on a busy machine; seconds on an idle one
SELECTION = Selection(splits=("id_test",), limit=4)


@pytest.fixture(scope="module")
def folder():
    return str(shipped_folder())


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, LAUNCHER, folder, str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **offline},
        )
    try:
        deadline = time.monotonic() + MOST_S
        while not is_up(port):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def is_up(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def served(folder, url, **settings):
    return ServerPredictor(folder, url, concurrency=2, **settings)


def test_served_and_local_answers_are_equal(folder, url, tmp_path):
    here = ModelPredictor(folder, device="cpu", dtype="float32", batch_size=1)
    there = served(folder, url)
    assert there.family.reason == "read from its config.json"
    own = evaluate(here, SHIPPED, tmp_path / "here", selection=SELECTION)
    other = evaluate(there, SHIPPED, tmp_path / "there", selection=SELECTION)
    samples = [(tmp_path / name / "samples.jsonl").read_text() for name in ("here", "there")]
    assert samples[0] == samples[1]
    assert own.splits == other.splits
    assert own.splits["id_test"]["affordance"].parse_rate.mean > 0.5


def test_the_server_reports_token_counts_and_finish_reasons(folder, url):
    samples = [s for s, _ in zip(open_dataset(SHIPPED).samples("id_test"), range(2), strict=False)]
    here = ModelPredictor(folder, device="cpu", dtype="float32", batch_size=1)
    found = {p.id: p for p in served(folder, url).predict(samples)}
    assert {p.id: p.tokens for p in here.predict(samples)} == {
        id: prediction.tokens for id, prediction in found.items()
    }
    usage = sum_usage(found.values())
    assert usage.uncounted == 0
    assert usage.finish == {"stop": 2}
    image_tokens = here.loaded.image_tokens(samples[0].image_size)
    assert all(prediction.prompt_tokens > image_tokens for prediction in found.values())


def test_a_model_that_is_not_served_gives_one_clear_line(url):
    samples = open_dataset(SHIPPED).samples("id_test")
    wrong = ServerPredictor(
        "qwen3-vl", url, retry_policy=RetryPolicy(max_consecutive_failures=2), concurrency=1
    )
    with pytest.raises(UserError, match="HTTP 400, Server is pinned to") as error:
        list(wrong.predict(samples))
    assert "\n" not in str(error.value)
