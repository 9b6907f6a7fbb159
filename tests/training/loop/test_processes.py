"""Two processes on one machine (gloo) make the update that one makes on the same global batch."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from maniplvm.training import train
from maniplvm.training.loop.cpu_processes import is_missing_processes, requested_processes
from tests.training.tiny_training import use_pseudorandom_rewards, use_scripted_completions

ROOT = Path(__file__).parents[3]
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")
SAME = ("step", "reward", "parse_rate", "completions/mean_length", "frac_reward_zero_std", "loss")
TRAINER = {"max_steps": 3, "learning_rate": 1e-3, "optim": "sgd"}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_two_processes_make_the_updates_of_one(tiny_setup, tmp_path, monkeypatch):
    use_pseudorandom_rewards(monkeypatch.setattr)
    use_scripted_completions(monkeypatch.setattr)
    runs = []
    for method in ("grpo", "sft"):
        whole = tiny_setup.recipe(method, {**TRAINER, "per_device_train_batch_size": 16})
        train(whole, method, tmp_path / f"{method}-1")
        half = tiny_setup.recipe(method, {**TRAINER, "per_device_train_batch_size": 8})
        path = tmp_path / f"{method}.yaml"
        path.write_text(yaml.safe_dump(half.to_mapping()))
        runs += [method, str(path), str(tmp_path / f"{method}-2")]
    port = ("--main_process_port", free_port())
    module = ("-m", "tests.training.tiny_training", "scripted")
    done = subprocess.run(
        [*LAUNCH, *port, *module, *runs], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:6000]
    assert done.stdout.count("model in") == 2, "only one process prints"
    start = load_file(tiny_setup.model / "model.safetensors")
    for method in ("grpo", "sft"):
        one, two = tmp_path / f"{method}-1", tmp_path / f"{method}-2"
        assert sorted(path.name for path in (two / "checkpoints").glob("*/rng_state_?.pth")) == [
            "rng_state_0.pth",
            "rng_state_1.pth",
        ]
        expected = load_file(one / "model" / "model.safetensors")
        found = load_file(two / "model" / "model.safetensors")
        assert max((expected[name] - start[name]).abs().max().item() for name in start) > 1e-4
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)
        for line, other in zip(log(one), log(two), strict=True):
            for key in set(SAME) & set(line):
                assert other[key] == pytest.approx(line[key], rel=1e-4, abs=1e-6), key


def test_a_launcher_that_started_too_few_processes_is_noticed():
    asked = {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}
    assert is_missing_processes(asked)
    assert not is_missing_processes({**asked, "WORLD_SIZE": "2"})
    assert not is_missing_processes({"ACCELERATE_USE_CPU": "True"})
    assert not is_missing_processes({})


@pytest.mark.parametrize(
    ("launcher", "count"),
    [
        (["accelerate", "launch", "--cpu", "--num_processes", "4", "-m", "x"], 4),
        (["accelerate", "launch", "--num-processes=3", "--cpu", "x"], 3),
        (["accelerate", "launch", "--cpu", "x"], None),
    ],
)
def test_the_number_of_processes_is_read_from_the_launcher(launcher, count):
    assert requested_processes(launcher) == count
