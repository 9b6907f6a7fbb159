import json

import pytest

from maniplvm.training.loop.run_log import cut_log, log_line, read_log


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(1, 6)))
    return path


def test_a_line_holds_numbers_by_our_names():
    logs = {
        "loss": 0.5,
        "completions/mean_length": 12.0,
        "frac_reward_zero_std": 0.25,
        "reward/affordance/iou": 0.3,
        "rewards/reward/mean": 0.3,
        "kl": None,
        "epoch": 0.1,
    }
    assert log_line(logs, 7, 1.23456) == {
        "step": 7,
        "seconds": 1.235,
        "loss": 0.5,
        "completion_length": 12.0,
        "groups_without_signal": 0.25,
        "reward/affordance/iou": 0.3,
    }


def test_a_line_that_was_cut_off_is_left_out(path):
    with path.open("a") as file:
        file.write('{"step": 6, "lo')
    assert [line["step"] for line in read_log(path)] == [1, 2, 3, 4, 5]


def test_what_lies_after_the_checkpoint_is_dropped(path):
    cut_log(path, 3)
    assert [line["step"] for line in read_log(path)] == [1, 2, 3]


def test_a_log_that_is_not_there_is_empty(tmp_path):
    cut_log(tmp_path / "log.jsonl", 0)
    assert list(read_log(tmp_path / "log.jsonl")) == []
