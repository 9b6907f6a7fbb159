import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
name: small
model: {source: nowhere/at-all}
data: {path: %s}
"""

needs_trl = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="extra train")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "maniplvm", "train", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_invalid_recipe_is_a_one_line_error_without_torch(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE % tmp_path)
    done = command("grpo", path, "--set", "data.fractoin=0.5")
    assert done.returncode == 2
    assert done.stdout == ""
    message = done.stderr.strip()
    assert message.count("\n") == 0
    assert message.startswith(
        f"maniplvm: {path}: data: unknown key 'fractoin'; did you mean fraction?"
    )


@needs_trl
def test_missing_data_is_a_one_line_error(tmp_path, monkeypatch):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE % (Path(tmp_path) / "none"))
    done = command("sft", path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert str(tmp_path / "none") in done.stderr
