import importlib.util
import shutil

import pytest

if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "peft")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """The folder of a tiny checkpoint, by family; not to be written to."""
    from maniplvm.models import write_tiny_checkpoint

    root = tmp_path_factory.mktemp("checkpoints")

    def get(family):
        folder = root / family
        return folder if folder.exists() else write_tiny_checkpoint(folder, family)

    return get


@pytest.fixture
def copied(checkpoint, tmp_path):
    """A copy of a tiny checkpoint that a test may spoil."""

    def get(family="qwen3_vl"):
        return shutil.copytree(checkpoint(family), tmp_path / "copy")

    return get
