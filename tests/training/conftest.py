import importlib.util

import pytest

NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "pyarrow")

if any(importlib.util.find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py", "*/test_*.py"]


@pytest.fixture(scope="session")
def tiny_setup(tmp_path_factory):
    """A tiny model and a tiny data set; not to be written to."""
    from tests.training.tiny_training import write_tiny_setup

    return write_tiny_setup(tmp_path_factory.mktemp("tiny_setup"))
