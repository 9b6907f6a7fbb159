"""Failures during an evaluation give one clear line, lose nothing, and allow the same result."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("httpx2")

import pyarrow.parquet

from maniplvm.errors import UserError
from maniplvm.evaluation import evaluate, read_evaluation
from maniplvm.evaluation.folder import AppendOnlyFile
from maniplvm.evaluation.predictors.server import RetryPolicy, ServerPredictor
from maniplvm.files import write_whole
from tests.evaluation.predictors.server.chat_server import serving, stalling
from tests.evaluation.scenery import Counting, sample, small_set, stored

ROOT = Path(__file__).parents[4]
CHILD = Path(__file__).with_name("evaluate_in_child.py")


@pytest.fixture
def data(tmp_path):
    return stored(tmp_path / "data", small_set(scenes=4))


def served(server, **settings):
    return ServerPredictor(
        "qwen3-vl", server.url, retry_policy=RetryPolicy(max_retries=0), **settings
    )


def started(data, out, server, most_bytes=0):
    """The command, started in its own process."""
    return subprocess.Popen(
        [
            *(sys.executable, CHILD, str(most_bytes), "evaluate", "qwen3-vl"),
            *("--server", server.url, "--data", data, "--out", out, "--concurrency", "2"),
            *("--no-execute", "--retries", "0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )


def lines(out):
    path = out / "predictions.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition, process=None, most_s=120):
    deadline = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


def assert_same(one, other):
    """Two folders hold the same evaluation."""
    assert read_evaluation(one).splits == read_evaluation(other).splits
    assert (one / "samples.jsonl").read_bytes() == (other / "samples.jsonl").read_bytes()


def test_a_killed_evaluation_resumes_with_the_same_result(data, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    with serving(delay=0.05) as server:
        process = started(data, out, server)
        wait_for(lambda: lines(out) >= 5, process)
        process.kill()
        process.communicate()
        safe = lines(out)
        assert 5 <= safe < 32
        time.sleep(0.2)
        before = len(server.requests)
        result = evaluate(served(server), data, out)
        assert len(server.requests) - before == 32 - safe
        assert before <= safe + 2 * 2  # only pending requests are sent twice
        evaluate(served(server), data, whole)
    assert result.resumed == safe
    assert_same(out, whole)


def test_an_interrupt_during_a_stalled_request_ends_the_command(data, tmp_path):
    with serving(script=dict.fromkeys(range(6)), default=stalling(60)) as server:
        process = started(data, tmp_path / "out", server)
        wait_for(lambda: lines(tmp_path / "out") >= 5, process)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=50)
        assert time.monotonic() - start < 45
    assert process.returncode not in (0, None)
    assert lines(tmp_path / "out") >= 5


def test_a_full_disk_gives_one_line_and_keeps_written_completions(data, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    with serving() as server:
        process = started(data, out, server, most_bytes=3000)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 2
        last = error.splitlines()[-1]
        assert last.startswith(
            f"maniplvm: {out / 'predictions.jsonl'}: cannot be written (File too"
        )
        assert "run the same command to resume" in last
        assert "Traceback" not in error
        safe = lines(out)
        text = (out / "predictions.jsonl").read_text()
        assert 0 < safe < 32
        assert text.endswith("\n")
        assert all(json.loads(line)["id"] for line in text.splitlines())
        before = len(server.requests)
        evaluate(served(server), data, out)
        assert len(server.requests) - before == 32 - safe
        evaluate(served(server), data, whole)
    assert_same(out, whole)


def test_a_full_disk_while_writing_the_result_keeps_the_predictions(data, tmp_path, monkeypatch):
    real = Path.open

    def full(path, *settings, **named):
        if path.name.startswith("samples.jsonl"):
            with real(path, "w") as half:
                half.write('{"id": "cut sh')
            raise OSError(28, "No space left on device")
        return real(path, *settings, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match=r"samples\.jsonl: cannot be written \(No space left"):
        evaluate(Counting(), data, tmp_path / "out")
    monkeypatch.undo()
    assert not list((tmp_path / "out").glob("*.unfinished"))
    again = Counting()
    evaluate(again, data, tmp_path / "out")
    assert not again.asked


def test_an_append_only_file_always_ends_with_a_whole_line(tmp_path):
    path = tmp_path / "lines"
    with AppendOnlyFile(path) as journal:
        journal.append("first\n")
        whole = journal._file

        class Full:
            def __getattr__(self, name):
                return getattr(whole, name)

            def write(self, data):
                if len(data) < 5:
                    raise OSError(28, "No space left on device")
                return whole.write(data[:4])

        journal._file = Full()
        with pytest.raises(UserError, match="No space left"):
            journal.append("second\n")
        journal._file = whole
        assert path.read_text() == "first\n"
        journal.append("zweite Ä\n")
    assert path.read_text(encoding="utf-8") == "first\nzweite Ä\n"


def test_a_folder_that_cannot_be_written_gives_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        write_whole(tmp_path / "nowhere" / "x.json", "{}")
    with pytest.raises(UserError, match="cannot be written"):
        AppendOnlyFile(tmp_path / "nowhere" / "x.jsonl")


def test_a_row_without_an_image_is_named_and_all_others_are_completed(tmp_path):
    samples = small_set()
    samples[5] = replace(samples[5], image=None)
    data = stored(tmp_path / "data", samples)
    with serving() as server:
        for _ in range(2):
            with pytest.raises(UserError, match=rf"sample {samples[5].id}: .*it has no image"):
                evaluate(served(server), data, tmp_path / "out")
            assert lines(tmp_path / "out") == 15
    assert len(server.requests) == 15


def test_a_row_without_an_image_is_named_by_a_local_model():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from maniplvm.evaluation import ModelPredictor

    nothing = replace(sample("affordance"), image=None)
    with pytest.raises(UserError, match=rf"sample {nothing.id}: it has no image; import"):
        next(ModelPredictor("embedded", device="cpu").predict([nothing]))


def damage(path):
    """Overwrite the images of the last row group, and nothing else."""
    with pyarrow.parquet.ParquetFile(path) as file:
        group = file.metadata.row_group(file.num_row_groups - 1)
        columns = [group.column(number) for number in range(group.num_columns)]
        (image,) = [c for c in columns if c.path_in_schema == "image.bytes"]
        start = image.dictionary_page_offset or image.data_page_offset
        length = image.total_compressed_size
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)


def test_a_damaged_parquet_file_keeps_the_earlier_completions(tmp_path):
    good, bad = small_set(splits=("id_test", "ood_tasks"), scenes=2), tmp_path / "data"
    stored(bad, good)
    path = bad / "ood_tasks.parquet"
    whole = path.read_bytes()
    damage(path)
    with serving(delay=0.01) as server:
        with pytest.raises(UserError, match=r"ood_tasks\.parquet: damaged or no parquet file"):
            evaluate(served(server), bad, tmp_path / "out")
        assert lines(tmp_path / "out") == 16
        path.write_bytes(whole)
        evaluate(served(server), bad, tmp_path / "out")
        assert len(server.requests) == 32
        evaluate(served(server), bad, tmp_path / "whole")
    assert_same(tmp_path / "out", tmp_path / "whole")


def test_an_invalid_parquet_file_gives_one_clear_line(data, tmp_path):
    path = data / "id_test.parquet"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"id_test\.parquet: damaged or no parquet file"):
        evaluate(Counting(), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_damaged_is_named(tmp_path):
    torn = sample("affordance", image=sample("affordance").image[:70])
    data = stored(tmp_path / "data", [torn])
    with serving() as server, pytest.raises(UserError, match=f"{torn.id}.* is damaged"):
        evaluate(served(server), data, tmp_path / "out")
