"""The SLURM scripts run the lines of `maniplvm launch`; programs that record their arguments stand in."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from maniplvm.training import read_recipe
from maniplvm.training.launching.commands import Machines, plan_launch

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "recipes" / "slurm"
RECORD = """#!/bin/bash
line="CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-} $(basename "$0")"
for word in "$@"; do line+=" $(printf %q "$word")"; done
echo "$line" >> "$RECORDED"
if [ "$(basename "$0")" = accelerate ]; then
  for _ in {1..100}; do ! grep -q trl "$RECORDED" || exit "$STATUS"; sleep 0.1; done
fi
exec sleep 30
"""
SRUN = """#!/bin/bash
count=1
while [[ "$1" == --* ]]; do
  [[ "$1" != --ntasks=* ]] || count="${1#*=}"
  shift
done
trap 'kill $(jobs -p)' TERM
status=0
for ((rank = 0; rank < count; rank++)); do SLURM_PROCID=$rank "$@" & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "$status"
"""


def run_script(name, folder, status=0):
    """Run a script with stand-ins; returns its exit status and the recorded lines."""
    programs = folder / "venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").touch()
    for program, text in (
        ("trl", RECORD),
        ("accelerate", RECORD),
        ("srun", SRUN),
        ("scontrol", "#!/bin/bash\nprintf '%s\\n' node1 node2 node3\n"),
    ):
        (programs / program).write_text(text)
        (programs / program).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "VENV": str(folder / "venv"),
        "RECORDED": str(folder / "recorded"),
        "SLURM_JOB_NODELIST": "node[1-3]",
        "STATUS": str(status),
    }
    run = subprocess.Popen(
        ["bash", SCRIPTS / name], cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        returned = run.wait(20)
    finally:
        os.killpg(run.pid, signal.SIGKILL)  # what SLURM does at the end of a job
    lines = (folder / "recorded").read_text().splitlines()
    return returned, sorted(shlex.split(line) for line in lines)


def printed(recipe, *machines, only=(None,)):
    path = Path("recipes/grpo") / recipe
    plans = [
        plan_launch(read_recipe(path), path, "grpo", each, only=part)
        for each, part in zip(machines, only, strict=True)
    ]
    words = [shlex.split(str(command)) for plan in plans for command in plan.commands]
    return sorted(
        each if each[0].startswith("CUDA") else ["CUDA_VISIBLE_DEVICES=", *each] for each in words
    )


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_script_for_one_node_runs_the_printed_lines(tmp_path):
    status, ran = run_script("one-node.sbatch", tmp_path)
    assert status == 0
    assert ran == printed("qwen2.5-vl-3b-joint-full.yaml", Machines())


def test_the_script_for_two_nodes_runs_the_printed_lines_of_each_machine(tmp_path):
    status, ran = run_script("two-nodes.sbatch", tmp_path)
    assert status == 0
    ranks = [Machines(rank=rank, main_address="node1", server_address="node3") for rank in range(2)]
    expected = printed(
        "qwen3-vl-4b-joint-2nodes.yaml", Machines(), *ranks, only=("server", None, None)
    )
    assert ran == expected


def test_a_script_ends_with_the_status_of_the_training(tmp_path):
    assert run_script("one-node.sbatch", tmp_path, status=7)[0] == 7


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_script_is_valid_bash(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
