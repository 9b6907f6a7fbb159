"""Train with GRPO on other engines from our recipes -> results/engines.json.

Run: python -m benchmarks.engines --work build/engines --out results/engines.json

Needs the environments of `make engines-env`. A finished stage in the work folder is not repeated.
`--step-time` measures the duration of a step on all engines instead; the machine must be idle.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.engines import ms_swift, step_time, verl
from benchmarks.engines.work import ROOT, Work

from maniplvm.process import package_versions

ENGINES = {
    "verl": (verl.measure, ".venv-engines"),
    "ms-swift": (ms_swift.measure, ".venv-swift"),
}
"""How each engine is measured, and the folder of its environment."""


def main() -> None:
    """Measure, and write the results; the results of other engines in the file are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=tuple(ENGINES), action="append", help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "engines")
    parser.add_argument("--environments", type=Path, default=ROOT, help="folder of .venv-*")
    parser.add_argument("--timeout", type=float, default=5400.0, help="limit of one engine run [s]")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "engines.json")
    parser.add_argument("--step-time", action="store_true", help="durations of steps only")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    pythons = {
        engine: (options.environments / environment / "bin" / "python").absolute()
        for engine, (_, environment) in ENGINES.items()
    }

    def work(engine: str) -> Work:
        return Work(options.work.resolve(), options.seed, pythons[engine], options.timeout)

    if options.step_time:
        measured = step_time.measure(work("verl"), pythons["verl"], pythons["ms-swift"])
        _write(options.out, options.seed, {"step_time": measured})
        return
    for engine in options.engine or ENGINES:
        measure, _ = ENGINES[engine]
        _write(options.out, options.seed, {"engines": {engine: measure(work(engine))}})


def _write(out: Path, seed: int, measured: dict[str, dict[str, Any]]) -> None:
    known = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    results = {
        **known,
        "command": f"python -m benchmarks.engines --seed {seed}",
        "seed": seed,
        "versions": package_versions(("torch", "transformers", "trl")),
    }
    for key, value in measured.items():
        results[key] = {**known.get(key, {}), **value} if key == "engines" else value
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
