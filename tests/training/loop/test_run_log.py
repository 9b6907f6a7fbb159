import json

import pytest

from maniplvm.errors import UserError
from maniplvm.metric_names import OLD_NAMES, OWN_METRICS, TRL_METRICS
from maniplvm.training.loop.run_log import cut_log, log_line, read_log


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(1, 6)))
    return path


def test_a_line_holds_metrics_by_the_names_of_trl():
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
        "completions/mean_length": 12.0,
        "frac_reward_zero_std": 0.25,
        "reward/affordance/iou": 0.3,
    }


def test_a_line_that_was_cut_off_is_left_out(path):
    with path.open("a") as file:
        file.write('{"step": 6, "lo')
    assert [line["step"] for line in read_log(path)] == [1, 2, 3, 4, 5]


def test_lines_after_the_checkpoint_are_removed(path):
    cut_log(path, 3)
    assert [line["step"] for line in read_log(path)] == [1, 2, 3]


def test_a_log_that_is_not_there_is_empty(tmp_path):
    cut_log(tmp_path / "log.jsonl", 0)
    assert list(read_log(tmp_path / "log.jsonl")) == []


def test_a_log_of_an_earlier_version_is_read_under_the_names_of_trl(tmp_path):
    path = tmp_path / "log.jsonl"
    old = {"step": 1, "groups_without_signal": 0.5, "group_spread": 0.1, "answer_variety": 0.9}
    old |= {"completion_length": 30.0, "truncated": 0.0, "clipped": 0.2, "token_accuracy": 0.7}
    path.write_text(json.dumps({**old, "step_seconds": 1.5, "reward": 0.4}) + "\n")
    (line,) = read_log(path)
    assert line == {
        "step": 1,
        "frac_reward_zero_std": 0.5,
        "group_reward_std": 0.1,
        "answer_diversity": 0.9,
        "completions/mean_length": 30.0,
        "completions/clipped_ratio": 0.0,
        "clip_ratio/region_mean": 0.2,
        "mean_token_accuracy": 0.7,
        "step_time": 1.5,
        "reward": 0.4,
    }


def test_a_resumed_log_of_an_earlier_version_keeps_its_lines_under_the_present_names(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "truncated": 0.25}\n{"step": 2, "truncated": 0.5}\n')
    cut_log(path, 1)
    assert json.loads(path.read_text()) == {"step": 1, "completions/clipped_ratio": 0.25}


def test_every_present_name_is_a_metric_that_is_written():
    assert set(OLD_NAMES.values()) <= {*TRL_METRICS, *OWN_METRICS}
    assert not set(OLD_NAMES) & {*TRL_METRICS, *OWN_METRICS}


def test_a_log_with_fewer_lines_than_at_the_checkpoint_is_named(path):
    cut_log(path, 3, lines=3)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match=r"log.jsonl: has 2 of the 3 lines until step 3"):
        cut_log(path, 3, lines=3)
    path.unlink()
    cut_log(path, 3, lines=3)
    assert not path.exists()
