"""Interpreters of the engines' environments, and a small model that writes answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.evaluation.scenery import small_set, stored

from maniplvm.models import write_tiny_checkpoint
from tests_engines.isolation import REPOSITORY, can_isolate

SFT = {
    "max_steps": 150,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 5,
    "bf16": False,
    "save_steps": 1000,
}


@pytest.fixture(scope="session")
def verl_python():
    return _interpreter("VERL_PYTHON", ".venv-engines")


@pytest.fixture(scope="session")
def swift_python():
    return _interpreter("SWIFT_PYTHON", ".venv-swift")


@pytest.fixture(scope="session")
def isolated():
    """The engines run only where they cannot use the network."""
    if not can_isolate():
        pytest.skip("this system lets us create no network namespace (unshare --net)")


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """A data set, and a tiny Qwen2.5-VL that was trained with SFT until it writes answers."""
    folder = tmp_path_factory.mktemp("taught")
    write_tiny_checkpoint(folder / "tiny", "qwen2_5_vl")
    stored(folder / "set", small_set(("train", "id_test")))
    recipe = {
        "name": "taught",
        "model": {"source": str(folder / "tiny")},
        "data": {"path": str(folder / "set"), "task": "affordance"},
        "monitor": {"samples_every": 0},
        "trainer": SFT,
    }
    (folder / "sft.yaml").write_text(json.dumps(recipe))
    words = ["train", "sft", str(folder / "sft.yaml"), "--out", str(folder / "sft")]
    subprocess.run([sys.executable, "-m", "maniplvm", *words], cwd=REPOSITORY, check=True)
    return folder


def _interpreter(variable, folder):
    python = Path(os.environ.get(variable, REPOSITORY / folder / "bin" / "python")).absolute()
    if not python.is_file():
        pytest.fail(f"{python} is missing: run `make engines-env`, or set {variable}")
    return python
