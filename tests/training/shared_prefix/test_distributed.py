"""Two real processes: DDP and FSDP2 over gloo, compared with TRL in one process."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from tests.training.shared_prefix import train_distributed

ROOT = Path(__file__).resolve().parents[3]
TIME_LIMIT = 400
"""Limit [s] after which processes that wait for each other are ended. The run takes about 20 s."""

pytestmark = [
    # transformers 5.23 and TRL 1.16 warn about names that the other still uses.
    pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def runs(checkpoints, tmp_path_factory):
    """Folder with the reports of both processes about every scenario."""
    folder = tmp_path_factory.mktemp("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, "-m", "tests.training.shared_prefix.train_distributed"]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with ExitStack() as stack:
        processes = []
        for rank in range(2):
            log = stack.enter_context((folder / f"rank-{rank}.log").open("w", encoding="utf-8"))
            process = subprocess.Popen(
                [*script, str(checkpoints("qwen2_5_vl")), str(folder)],
                cwd=ROOT,
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        codes = [process.wait(TIME_LIMIT) for process in processes]
    assert codes == [0, 0], (folder / "rank-0.log").read_text(encoding="utf-8")[-2000:]
    return folder


@pytest.fixture(scope="module")
def change_by_trl(checkpoints, tmp_path_factory):
    """Change of the weights by TRL's own trainer in this process, for the same global batches."""
    trainer, change, _ = train_distributed.train(
        train_distributed.PlainTrainer,
        checkpoints("qwen2_5_vl"),
        tmp_path_factory.mktemp("one-process"),
    )
    assert trainer.accelerator.num_processes == 1
    assert change.norm() > 0
    return change


def reports(folder, name):
    texts = [(folder / f"{name}-{rank}.json").read_text(encoding="utf-8") for rank in range(2)]
    return [json.loads(text) for text in texts]


@pytest.mark.parametrize(("name", "fsdp2"), [("ddp", False), ("fixed", True)])
def test_two_processes_train_the_weights_of_trl_in_one_process(runs, change_by_trl, name, fsdp2):
    for seen in reports(runs, name):
        assert (seen["fsdp2"], seen["processes"]) == (fsdp2, 2)
        assert seen["steps"] == train_distributed.STEPS
        assert seen["fallbacks"] == {}
        assert seen["verified"]["log-probabilities"]["max_logprob_diff"] < 1e-5
    change = torch.load(runs / f"{name}.pt")
    assert (change - change_by_trl).norm() / change_by_trl.norm() < 1e-4


def test_processes_with_sharded_weights_run_equally_many_passes(runs):
    assert [seen["additional_passes"] > 0 for seen in reports(runs, "fixed")] == [True, False]
    assert [seen["additional_passes"] for seen in reports(runs, "ddp")] == [0, 0]


@pytest.mark.parametrize("name", ["sampled", "adapters"])
def test_a_process_whose_completions_have_ended_waits_for_the_others(runs, name):
    seen = reports(runs, name)
    assert sum(each["idle_steps"] for each in seen) > 0, "the completions had equal lengths"
    for each in seen:
        assert each["fallbacks"] == {}
        assert set(each["verified"]) == {"completions", "log-probabilities"}
        assert each["steps"] == train_distributed.STEPS


def test_a_problem_in_one_process_makes_all_processes_use_trl(runs):
    first, second = reports(runs, "fallback")
    assert first["fallbacks"] == second["fallbacks"]
    assert first["fallbacks"]["completions"] == "a reason (process 1)"
    assert "VERIFICATION FAILED" in first["fallbacks"]["log-probabilities"]
    assert first["verified"] == second["verified"]
    assert first["steps"] == second["steps"] == train_distributed.STEPS
