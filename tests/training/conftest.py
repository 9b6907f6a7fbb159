import importlib.util

import pytest

NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "pyarrow")

if any(importlib.util.find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py", "*/test_*.py"]


@pytest.fixture(scope="session")
def lesson(tmp_path_factory):
    """A tiny model and a tiny data set; not to be written to."""
    from tests.training.practice import write_lesson

    return write_lesson(tmp_path_factory.mktemp("lesson"))
