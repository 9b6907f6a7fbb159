from types import SimpleNamespace

import pytest
import torch
from torch import nn

from maniplvm.training.shared_prefix import processes


def test_one_process_decides_alone():
    assert processes.process_count() == 1
    assert processes.maxima([1.0, -2.0], "cpu") == [1.0, -2.0]
    assert processes.any_process(True, "cpu")
    assert not processes.any_process(False, "cpu")
    assert processes.first_reason("a reason", "cpu") == "a reason"
    assert processes.first_reason(None, "cpu") is None
    assert not processes.has_sharded_weights(nn.Linear(2, 2))
    assert processes.additional_passes(nn.Linear(2, 2), 3) == 0


@pytest.fixture
def two_processes(monkeypatch):
    """Process 0 of two; the values of the other process are set by the test."""
    other = {}

    def all_reduce(mine, operation):
        assert operation == torch.distributed.ReduceOp.MAX
        mine.copy_(torch.maximum(mine, other["values"]))

    def all_gather_object(found, mine):
        found[:] = [mine, other["reason"]]

    monkeypatch.setattr(processes, "process_count", lambda: 2)
    monkeypatch.setattr(processes.distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(processes.distributed, "all_gather_object", all_gather_object)
    return other


def test_nan_in_another_process_is_the_largest_value(two_processes):
    two_processes["values"] = torch.tensor([[torch.inf, 1.0], [3.0, 0.0]])
    largest, second = processes.maxima([1.0, 2.0], "cpu")
    assert largest != largest
    assert second == 3.0


def test_the_reason_of_another_process_is_taken_with_its_number(two_processes):
    two_processes.update(values=torch.tensor([[1.0, 0.0]]), reason="no images")
    assert processes.first_reason(None, "cpu") == "no images (process 1)"
    assert processes.first_reason("mine", "cpu") == "mine (process 0)"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, None),
        ({"fsdp_plugin": SimpleNamespace(fsdp_version=2)}, None),
        ({"fsdp_plugin": SimpleNamespace(fsdp_version=1)}, "FSDP1"),
        ({"deepspeed_plugin": SimpleNamespace(zero_stage=2)}, None),
        ({"deepspeed_plugin": SimpleNamespace(zero_stage=3)}, "ZeRO-3"),
    ],
)
def test_ways_of_sharding_that_are_not_supported_are_refused_by_name(state, reason):
    accelerator = SimpleNamespace(state=SimpleNamespace(**state))
    found = processes.unsupported_sharding_reason(accelerator)
    assert (found is None) if reason is None else reason in found
    assert found is None or "\n" not in found
