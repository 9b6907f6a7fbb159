"""Settings of all tests."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import settings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# A busy machine must not fail a property; tests that hold a time measure the processor's.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


@pytest.fixture
def benchmark(monkeypatch):
    """A script of `benchmarks/` as a module, by name."""

    def load(name):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load
