"""Run all parts of the reliability tests, and write their figures.

Run: python -m benchmarks.reliability --out results/reliability.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reliability.parts import PARTS, run_part
from benchmarks.reliability.result import Settings

from maniplvm.process import package_versions

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "trl", "numpy", "pillow", "pyarrow", "mujoco")


def stored_parts(path: Path) -> dict[str, Any]:
    """Figures of the parts that an earlier call wrote, or nothing."""
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))["parts"]


def main() -> None:
    """Run the parts in turn, and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="run these parts only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at the same time")
    parser.add_argument("--quick", action="store_true", help="the short form of the tests")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reliability.json")
    options = parser.parse_args()
    parts = stored_parts(options.out) if options.only else {}
    for name in options.only or list(PARTS):
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="maniplvm-reliability-") as folder:
            result = run_part(
                name, Settings(options.seed, options.jobs, options.quick, Path(folder))
            )
        parts[name] = result.as_dict() | {"seconds": round(time.monotonic() - started, 1)}
        print(f"{name}: {result.tried} tried, {result.lost} lost", flush=True)
        write(options.out, parts, options.seed)
    if any(part["lost"] for part in parts.values()):
        raise SystemExit("some attempts were lost; the results file lists the first of each part")


def write(path: Path, parts: dict[str, Any], seed: int) -> None:
    """Write the figures of all parts and their sums."""
    sums = {key: sum(part[key] for part in parts.values()) for key in ("tried", "survived", "lost")}
    content = {
        "command": "python -m benchmarks.reliability",
        "seed": seed,
        "versions": package_versions(PACKAGES),
        "cores": os.cpu_count(),
        **sums,
        "parts": {name: parts[name] for name in PARTS if name in parts},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
