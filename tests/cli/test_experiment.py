"""`maniplvm experiment`: the list of runs, and deprecated keys."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from maniplvm.cli.app import app

ROOT = Path(__file__).parents[2]
GRID = f"""
name: tiny
data: {ROOT / "datasets" / "sim-small"}
seeds: [0]
base: base
arms:
  base: {{}}
  grpo:
    method: grpo
    recipe: {ROOT / "recipes" / "grpo" / "embedded.yaml"}
    KEY: 0.75
"""


def listed(folder, key):
    path = folder / "grid.yaml"
    path.write_text(GRID.replace("KEY", key))
    result = CliRunner().invoke(app, ["experiment", str(path), "--list", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return result


def test_the_list_shows_runs_and_runs_nothing(tmp_path):
    result = listed(tmp_path, "alpha")
    assert "0 of 2 runs finished" in result.stdout
    assert "grpo seed 0" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]
    assert result.stderr == ""


def test_the_old_key_of_alpha_gives_the_same_list_and_one_line_of_notice(tmp_path):
    result = listed(tmp_path, "blend")
    assert result.stderr == "maniplvm: `blend` is deprecated, use `alpha`\n"
    assert result.stdout == listed(tmp_path, "alpha").stdout
