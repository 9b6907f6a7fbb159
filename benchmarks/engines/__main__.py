"""Train with GRPO on other engines from our recipes -> results/engines.json.

Run: python -m benchmarks.engines --work build/engines --out results/engines.json

Needs the environment of `make engines-env`. A finished stage in the work folder is not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.engines import verl

ENGINES = {"verl": verl.measure}


def main() -> None:
    """Measure, and write the results; the results of other engines in the file are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=tuple(ENGINES), default="verl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=verl.ROOT / "build" / "engines")
    parser.add_argument("--python", type=Path, default=verl.ROOT / ".venv-engines/bin/python")
    parser.add_argument("--timeout", type=float, default=5400.0, help="limit of one engine run [s]")
    parser.add_argument("--out", type=Path, default=verl.ROOT / "results" / "engines.json")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    work = verl.Work(
        options.work.resolve(), options.seed, options.python.absolute(), options.timeout
    )
    measured = ENGINES[options.engine](work)
    content = {
        "command": "python -m benchmarks.engines " + " ".join(sys.argv[1:]),
        "seed": options.seed,
        **measured,
    }
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    results = {**known, options.engine: content}
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
