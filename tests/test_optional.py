"""Optional packages: fast imports without them, and a one-line error if they are missing."""

import importlib
import subprocess
import sys

import pytest

from maniplvm import optional
from maniplvm.errors import UserError

PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "tokenizers": "tokenizers",
    "huggingface_hub": "huggingface_hub",
    "safetensors": "safetensors",
    "trl": "trl",
    "datasets": "datasets",
    "arrow": "pyarrow",
    "parquet": "pyarrow.parquet",
    "av": "av",
    "httpx2": "httpx2",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
}


@pytest.mark.parametrize(("function", "module"), PACKAGES.items())
def test_a_missing_package_says_what_needs_it_and_what_to_install(monkeypatch, function, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r'needs? \w+ \(.+\): pip install "maniplvm\[\w+\]"$'):
        getattr(optional, function)()


def test_an_installed_package_is_returned():
    assert optional.import_optional("json.decoder", "this test needs", "dev").JSONDecoder


def test_a_missing_module_of_this_package_is_an_import_error(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="maniplvm.gone")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match=r"maniplvm\.gone|world"):
        optional.import_optional("world", "this test needs", "dev")


@pytest.mark.parametrize("package", ["data", "models", "training", "evaluation", "simulation"])
def test_importing_a_package_imports_no_optional_package(package):
    heavy = ("torch", "transformers", "trl", "pyarrow", "datasets", "mujoco", "av", "jinja2")
    code = f"import sys, maniplvm.{package}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
