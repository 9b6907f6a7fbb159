"""The GPU check in its smallest form on a CPU: its figures, a failed part, and the time limit."""

import json
import time

import pytest


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
def test_policy_pass_and_attention_agree_with_the_plain_ones(script, check):
    failed, found = parts(script, check, ["policy", "attention"])
    assert failed == 0
    policy, attention = (found[name]["result"] for name in ("policy", "attention"))
    assert [row["gradient_checkpointing"] for row in policy] == [True, False, True, False]
    assert all(row["max_logprob_diff"] < 0.01 for row in policy)
    assert policy[-1]["ideal_ratio"] > policy[0]["ideal_ratio"] > 1
    assert [row["packed_tokens"] for row in attention] == [60 + 4 + 8, 60 + 4 + 5 + 6 + 8]
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
