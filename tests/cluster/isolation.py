"""Scripts in a network namespace of their own: Ray listens on all interfaces of its machine."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SETUP = 'ip link set lo up && exec "$@"'


@cache
def can_isolate():
    """Whether this machine lets us create a network namespace."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    trial = ["unshare", "-n", "sh", "-c", _SETUP, "sh", "true"]
    return subprocess.run(trial, capture_output=True, timeout=20).returncode == 0


def run_isolated(script, *arguments, seconds=300):
    """Run a script with no network but loopback; it prints one JSON object on its last line."""
    command = [sys.executable, str(script), *map(str, arguments)]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    run = subprocess.run(
        ["unshare", "-n", "sh", "-c", _SETUP, "sh", *command],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ
        | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return json.loads(run.stdout.strip().splitlines()[-1])
