"""A run that was killed and started again ends as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from maniplvm.training import read_recipe, train
from maniplvm.training.loop.callbacks import LogCallback
from maniplvm.training.loop.checkpoints import COMPLETE, latest_checkpoint, mark_complete
from tests.training.tiny_training import use_pseudorandom_rewards

ROOT = Path(__file__).parents[3]
TIMES = ("seconds", "step_time")


@pytest.fixture(autouse=True)
def rewards_by_chance(monkeypatch):
    use_pseudorandom_rewards(monkeypatch.setattr)


def weights(run):
    return load_file(run / "model" / "model.safetensors")


def log(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: v for key, v in line.items() if key not in TIMES} for line in lines]


def assert_same_run(one, other):
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7, msg=name)
    lines, others = log(one), log(other)
    assert [line["step"] for line in lines] == [line["step"] for line in others]
    for line, same in zip(lines, others, strict=True):
        assert same == pytest.approx(line, rel=1e-4, abs=1e-6, nan_ok=True)


def moved(one, other):
    before, after = load_file(one / "model.safetensors"), weights(other)
    return max((after[name] - before[name]).abs().max().item() for name in after)


def start_and_kill(method, recipe, out, after):
    """Start a run in a process of its own and kill it once its log shows so many lines."""
    command = [sys.executable, "-m", "tests.training.tiny_training", method, str(recipe), str(out)]
    with (out.parent / "output.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if (out / "log.jsonl").exists() and (out / "log.jsonl").read_bytes().count(
                b"\n"
            ) >= after:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        assert process.wait() == -signal.SIGKILL, (out.parent / "output.txt").read_text()


REUSE = {"steps_per_generation": 2, "num_iterations": 2, "max_steps": 24, "save_steps": 4}


@pytest.mark.parametrize(
    ("method", "trainer", "after"),
    [("sft", {"max_steps": 24}, 5), ("grpo", {**REUSE, "beta": 0.04}, 7)],
)
def test_a_run_that_is_killed_ends_with_the_same_weights(
    tiny_setup, tmp_path, method, trainer, after
):
    recipe = tiny_setup.recipe(method, trainer)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.to_mapping()))
    start_and_kill(method, path, tmp_path / "killed", after)
    found = latest_checkpoint(tmp_path / "killed" / "checkpoints")
    assert found is not None
    assert found.step < 24
    train(read_recipe(path), method, tmp_path / "killed")
    train(read_recipe(path), method, tmp_path / "whole")
    assert moved(tiny_setup.model, tmp_path / "whole") > 1e-3
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


class Crash(BaseException):
    """Not an error that any code would handle."""


def crash_at(monkeypatch, step):
    """Let the next run end in the middle of the optimizer step after this one."""

    def crash(self, args, state, control, **_):
        if state.global_step == step:
            raise Crash

    monkeypatch.setattr(LogCallback, "on_pre_optimizer_step", crash)


@pytest.mark.parametrize(
    ("method", "sections"),
    [
        ("sft", {"model": {"lora": {"rank": 2, "dropout": 0.5}}}),
        ("grpo", {"model": {"lora": {"rank": 2}}, "trainer": {"beta": 0.1}}),
        ("grpo", {"trainer": {"gradient_accumulation_steps": 2, "num_iterations": 2}}),
        ("grpo", {"shared_prefix": {"enabled": False}}),
    ],
    ids=["sft-lora", "grpo-lora-kl", "grpo-accumulated", "grpo-plain"],
)
def test_a_run_that_crashed_within_a_step_ends_with_the_same_weights(
    tiny_setup, tmp_path, monkeypatch, method, sections
):
    recipe = tiny_setup.recipe(method, sections.pop("trainer", {}), **sections)
    with monkeypatch.context() as patch:
        crash_at(patch, 3)
        with pytest.raises(Crash):
            train(recipe, method, tmp_path / "crashed")
    assert len(log(tmp_path / "crashed")) == 3
    train(recipe, method, tmp_path / "crashed")
    train(recipe, method, tmp_path / "whole")
    assert moved(tiny_setup.model, tmp_path / "whole") > 1e-4
    assert_same_run(tmp_path / "whole", tmp_path / "crashed")


def test_it_does_not_matter_at_which_step_a_run_crashed(tiny_setup, tmp_path, monkeypatch):
    recipe = tiny_setup.recipe("grpo", {"steps_per_generation": 2, "max_steps": 5, "save_steps": 1})
    train(recipe, "grpo", tmp_path / "whole")
    for step in range(5):
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            with pytest.raises(Crash):
                train(recipe, "grpo", tmp_path / f"crashed-{step}")
        train(recipe, "grpo", tmp_path / f"crashed-{step}")
        assert_same_run(tmp_path / "whole", tmp_path / f"crashed-{step}")


def test_checkpoints_that_are_not_whole_are_not_used(tiny_setup, tmp_path, monkeypatch):
    recipe, run = tiny_setup.recipe("sft"), tmp_path / "run"
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(Crash):
            train(recipe, "sft", run)
    good = latest_checkpoint(run / "checkpoints")
    assert good is not None
    assert good.step == 4
    unmarked = shutil.copytree(good.folder, run / "checkpoints" / "checkpoint-5")
    (unmarked / COMPLETE).unlink()
    (unmarked / "optimizer.pt").write_bytes(b"half")
    cut = shutil.copytree(good.folder, run / "checkpoints" / "checkpoint-6")
    mark = json.loads((cut / COMPLETE).read_text())
    (cut / COMPLETE).write_text(json.dumps({**mark, "step": 6}))
    (cut / "model.safetensors").write_bytes(b"half")
    with (run / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    assert latest_checkpoint(run / "checkpoints") == good
    train(recipe, "sft", run)
    train(recipe, "sft", tmp_path / "whole")
    assert_same_run(tmp_path / "whole", run)


@pytest.mark.parametrize("text", ["", '{"step": 4', "[]", "{}"])
def test_a_checkpoint_whose_mark_was_cut_is_not_used(tmp_path, text):
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    (folder / "optimizer.pt").write_bytes(b"state")
    mark_complete(folder, 4, 2.5, tmp_path / "log.jsonl")
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.seconds, found.log_lines) == (4, 2.5, 0)
    (folder / COMPLETE).write_text(text)
    assert latest_checkpoint(tmp_path) is None
