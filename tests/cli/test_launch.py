"""`maniplvm launch`: what is printed is what docs/launching.md shows; a bad machine is one line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FULL = "recipes/grpo/qwen2.5-vl-3b-joint-full.yaml"


def launch(*arguments):
    environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    return subprocess.run(
        [sys.executable, "-m", "maniplvm", "launch", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )


def test_the_page_shows_the_lines_that_are_printed():
    done = launch(FULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    page = (ROOT / "docs" / "launching.md").read_text(encoding="utf-8")
    assert f"```\n{done.stdout}```" in page


def test_machines_that_do_not_fit_are_refused_in_one_line_before_anything_starts():
    done = launch(FULL, "--gpus", "1", "--run")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "maniplvm: --gpus 1: the vLLM server uses 1; the training needs at least one\n"
    )
