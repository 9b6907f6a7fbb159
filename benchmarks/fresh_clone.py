"""Time `make quickstart` and `make test` in a fresh clone.

Run: python benchmarks/fresh_clone.py --out results/fresh_clone.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
INTERVAL_S = 2.0


class Memory(threading.Thread):
    """Peak memory of a process with its descendants, sampled every `INTERVAL_S` seconds."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.peak_mb = 0.0

    def run(self) -> None:
        """Sample until the process has ended."""
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            self.peak_mb = max(self.peak_mb, self._held_mb())
            time.sleep(INTERVAL_S)

    def _held_mb(self) -> float:
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # it ended during the measurement
        return total / 2**20


def timed(command: list[str], folder: Path, log: Path) -> dict[str, Any]:
    """Run a command, and return its wall time, peak memory and exit status."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, env=environment)
        memory = Memory(process.pid)
        memory.start()
        code = process.wait()
    memory.join()
    return {
        "status": code,
        "seconds": round(time.monotonic() - started, 1),
        "peak_rss_mb": round(memory.peak_mb),
    }


def main() -> None:
    """Clone, run the targets, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=["quickstart", "test"])
    parser.add_argument("--keep", type=Path, help="clone into this folder and keep it")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "fresh_clone.json")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp()) / "maniplvm"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    done: dict[str, Any] = {}
    for target in options.targets:
        done[target] = timed(["make", target], folder, folder.parent / f"{target}.log")
        print(f"make {target}: {done[target]}", flush=True)
    content = {
        "command": f"python benchmarks/fresh_clone.py --targets {' '.join(options.targets)}",
        "seed": 0,
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "numpy")}
        | {"python": platform.python_version()},
        "commit": commit,
        "cores": os.cpu_count(),
        "make": done,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.keep is None:
        shutil.rmtree(folder.parent)
    if any(each["status"] for each in done.values()):
        raise SystemExit("a target failed")


if __name__ == "__main__":
    main()
