import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from maniplvm.embedded import ModelShape
from maniplvm.embedded.pretraining import PretrainingConfig, build_checkpoint, pretrain
from maniplvm.embedded.pretraining.distributed import ProcessGroup, run_distributed
from maniplvm.embedded.pretraining.trainer import _epoch, finished_weights
from maniplvm.errors import UserError
from maniplvm.models import load_model
from tests.embedded.pretraining.conftest import SHIPPED

SHORT = PretrainingConfig(steps=4, batch=4, warmup=2, save_every=2, log_every=1)


def pretrained(untrained, dataset, folder, config=SHORT, until=None):
    folder.mkdir(exist_ok=True)
    loaded = load_model(untrained, dtype="float32", device="cpu")

    def report(line):
        if until is not None and line["step"] == until:
            raise KeyboardInterrupt

    pretrain(loaded, dataset, config, folder, report)
    return {name: value.clone() for name, value in loaded.model.state_dict().items()}


def test_an_interrupted_run_ends_with_the_same_weights(untrained, dataset, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = pretrained(untrained, dataset, whole)
    with pytest.raises(KeyboardInterrupt):
        pretrained(untrained, dataset, broken, until=3)
    resumed = pretrained(untrained, dataset, broken)
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_losses_fall_and_are_logged_by_name(untrained, dataset, tmp_path):
    config = replace(SHORT, steps=30, batch=8, warmup=4, save_every=30, learning_rate=5e-3)
    pretrained(untrained, dataset, tmp_path, config)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 31))
    for name in ("text", "box", "trace"):
        first, last = (np.mean([line[name] for line in part]) for part in (lines[:3], lines[-3:]))
        assert last < 0.95 * first, name


def test_a_state_with_other_settings_is_refused(untrained, dataset, tmp_path):
    pretrained(untrained, dataset, tmp_path)
    with pytest.raises(UserError, match="other settings"):
        pretrained(untrained, dataset, tmp_path, replace(SHORT, seed=1))


def test_the_number_of_steps_can_be_raised_before_the_decay(untrained, dataset, tmp_path):
    pretrained(untrained, dataset, tmp_path / "long", replace(SHORT, steps=20, save_every=20))
    with pytest.raises(KeyboardInterrupt):
        pretrained(untrained, dataset, tmp_path / "short", replace(SHORT, steps=8), until=5)
    longer = pretrained(untrained, dataset, tmp_path / "short", replace(SHORT, steps=20))
    whole = torch.load(tmp_path / "long" / "state.pt", weights_only=True)["model"]
    for name, value in longer.items():
        torch.testing.assert_close(whole[name], value, atol=1e-6, rtol=1e-5, msg=name)
    with pytest.raises(UserError, match="other settings"):
        pretrained(untrained, dataset, tmp_path / "short", replace(SHORT, steps=24))


def test_the_model_is_the_average_over_the_ends_of_its_cycles(untrained, dataset, tmp_path):
    both = replace(SHORT, steps=8, cycles=2, last_share=0.75)
    last = pretrained(untrained, dataset, tmp_path / "both", both)
    first = pretrained(untrained, dataset, tmp_path / "one", SHORT)
    for name, value in finished_weights(tmp_path / "both", both).items():
        torch.testing.assert_close(value, 0.25 * first[name] + 0.75 * last[name], msg=name)
    for name, value in finished_weights(tmp_path / "one", SHORT).items():
        torch.testing.assert_close(value, first[name], msg=name)


def test_a_run_that_was_interrupted_in_its_second_cycle_resumes(untrained, dataset, tmp_path):
    both = replace(SHORT, steps=8, cycles=2, save_every=3)
    pretrained(untrained, dataset, tmp_path / "whole", both)
    for stop in (5, 8):
        with pytest.raises(KeyboardInterrupt):
            pretrained(untrained, dataset, tmp_path / "broken", both, until=stop)
    pretrained(untrained, dataset, tmp_path / "broken", both)
    whole = finished_weights(tmp_path / "whole", both)
    for name, value in finished_weights(tmp_path / "broken", both).items():
        torch.testing.assert_close(value, whole[name], atol=1e-6, rtol=1e-5, msg=name)


def test_objects_are_absent_only_in_the_last_cycle():
    config = PretrainingConfig(steps=30, cycles=3, absent=0.5)
    assert [config.absent_at(step) for step in (0, 10, 19, 20, 29)] == [0, 0, 0, 0.5, 0.5]
    assert PretrainingConfig(steps=10, absent=0.5).absent_at(9) == 0
    assert config.cycle_weights() == pytest.approx([0.2, 0.2, 0.6])


def test_the_learning_rate_rises_and_falls_in_every_cycle():
    config = PretrainingConfig(steps=200, cycles=2, warmup=10, decay=0.5, learning_rate=1.0)
    rates = [config.learning_rate_at(step) for step in range(200)]
    assert rates[:100] == rates[100:]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[99] == pytest.approx(0.02)


def test_an_epoch_has_each_example_once_and_groups_traces_by_length():
    rng = np.random.default_rng(0)
    points = tuple(rng.integers(3, 11, 640).tolist())
    batches = _epoch(points, 16, 0, 0)
    assert sorted(batches.ravel().tolist()) == list(range(640))
    ranges = np.ptp(np.array(points)[batches], axis=1).mean()
    unsorted = np.ptp(np.array(points)[rng.permutation(640)].reshape(-1, 16), axis=1).mean()
    assert ranges < 0.5 * unsorted
    assert not np.array_equal(batches, _epoch(points, 16, 0, 1))


def test_the_auxiliary_heads_are_not_part_of_the_model(untrained, dataset, tmp_path):
    before = set(load_model(untrained, device="cpu").model.state_dict())
    assert set(pretrained(untrained, dataset, tmp_path)) == before


def quiet(line):
    assert line["step"] > 0


def test_two_processes_build_a_checkpoint_that_plain_transformers_loads(tmp_path):
    shape = ModelShape(vision_width=32, vision_depth=2, width=32, depth=2, heads=2, vocabulary=400)
    config = replace(SHORT, steps=2, save_every=2)
    folder = build_checkpoint(
        SHIPPED, "adapt_test", config, tmp_path / "two", quiet, processes=2, shape=shape
    )
    plain = AutoModelForImageTextToText.from_pretrained(folder)
    assert plain.dtype == torch.bfloat16
    state = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    assert state["step"] == 2


def test_each_process_takes_its_own_part_of_a_batch_and_gradients_are_averaged():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.tensor([1.0, 2.0, 3.0])
    ProcessGroup().average_gradients([parameter])
    assert parameter.grad.tolist() == [1.0, 2.0, 3.0]
    assert ProcessGroup().shard([4, 5, 6]) == [4, 5, 6]


def _averaged(folder):
    group = ProcessGroup()
    used, unused = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    used.grad = torch.tensor([1.0, 3.0]) * (group.rank + 1)
    group.average_gradients([used, unused])
    values = [*used.grad.tolist(), *unused.grad.tolist(), *group.shard(range(5))]
    (folder / str(group.rank)).write_text(json.dumps(values))


def test_two_processes_average_their_gradients(tmp_path):
    run_distributed(2, _averaged, tmp_path)
    first, second = (json.loads((tmp_path / name).read_text()) for name in "01")
    assert first[:3] == second[:3] == [1.5, 4.5, 0.0]
    assert first[3:] == [0, 2, 4]
    assert second[3:] == [1, 3]


def test_a_resumed_run_logs_every_step_once(untrained, dataset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        pretrained(untrained, dataset, tmp_path, until=3)
    pretrained(untrained, dataset, tmp_path)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


@pytest.mark.parametrize("size", [0, 1000])
def test_a_cut_state_is_named(untrained, dataset, tmp_path, size):
    pretrained(untrained, dataset, tmp_path)
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"state.pt: damaged .*; remove it"):
        pretrained(untrained, dataset, tmp_path)
