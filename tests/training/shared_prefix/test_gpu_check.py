"""The GPU check in its smallest form on a CPU: its figures, a failed part, and the time limit."""

import json
import time

import pytest
import torch


@pytest.fixture
def script(benchmark):
    return benchmark("gpu_check")


@pytest.fixture
def check(script, tmp_path):
    return script.Check("tiny", "cpu", 1, tmp_path)


def parts(script, check, names, limit=100):
    out = check.folder / "found.json"
    failed = script.run_parts(check, names, limit, out)
    return failed, json.loads(out.read_text())["parts"]


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning")
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_policy_pass_and_attention_agree_with_the_plain_ones(script, check, monkeypatch):
    monkeypatch.setitem(script.SHAPES, "tiny", script.SHAPES["tiny"][1:])
    failed, found = parts(script, check, ["policy", "attention"])
    assert failed == 0
    policy, attention = (found[name]["result"] for name in ("policy", "attention"))
    assert [row["gradient_checkpointing"] for row in policy] == [True, False]
    assert all(row["max_logprob_diff"] < 0.01 for row in policy)
    assert all(4 < row["ideal_ratio"] < 5 for row in policy)
    assert [row["packed_tokens"] for row in attention] == [60 + 4 + 5 + 6 + 8]
    for row in attention:
        assert row["shared_prefix"]["max_diff"] < 0.02
        assert row["flex"]["max_diff"] < 0.02


def test_a_part_that_fails_is_named_and_the_next_one_runs(script, check, monkeypatch, capsys):
    def broken(_):
        raise ValueError("no such kernel")

    monkeypatch.setitem(script.PARTS, "policy", broken)
    monkeypatch.setitem(script.PARTS, "attention", lambda _: 3)
    failed, found = parts(script, check, ["policy", "attention"])
    assert failed == 1
    assert found["policy"]["failed"] == "ValueError: no such kernel"
    assert found["attention"]["result"] == 3
    assert "no such kernel" in capsys.readouterr().err


def test_a_part_is_stopped_at_the_limit_and_later_ones_are_skipped(script, check, monkeypatch):
    monkeypatch.setitem(script.PARTS, "policy", lambda _: time.sleep(30))
    failed, found = parts(script, check, ["policy", "attention"], limit=1.01)
    assert failed == 1
    assert found["policy"]["failed"].startswith("TimeoutError")
    assert found["attention"]["skipped"].startswith("no time was left")


def test_the_published_shape_and_its_prompts_can_be_built(script, tmp_path):
    from shared_prefix_models import text_and_image  # beside the script

    loaded = script.published_shape(tmp_path / "model", "qwen2.5-vl-3b", "meta")
    weights = sum(each.numel() for each in loaded.model.parameters())
    assert weights == pytest.approx(3.75e9, rel=0.01)
    ratios = []
    for size in script.SHAPES["3b"]:
        _, image = text_and_image(loaded, size, seed=0)
        assert image.size == (size.image[0] * 28, size.image[1] * 28)
        ratios.append(script.ideal_ratio(loaded, size, script.lengths_of(size)))
    assert 4 < ratios[0] < ratios[1] < 16


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning")
def test_a_pass_that_does_not_fit_in_memory_is_a_result(script, check, monkeypatch):
    def too_large(_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")

    monkeypatch.setattr(script.WithoutTrainer, "policy_pass", too_large)
    failed, found = parts(script, check, ["policy"])
    assert failed == 0
    rows = found["policy"]["result"]
    assert [row["out_of_memory"] for row in rows] == ["CUDA out of memory."] * 4
    assert rows[-1]["rollout_ratio"] > 0
