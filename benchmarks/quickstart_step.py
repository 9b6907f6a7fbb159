"""Time of a step of the quickstart recipe with and without the shared prefix.

Runs `maniplvm train grpo recipes/grpo/embedded.yaml` for a few steps, alternately with and without sharing. The first
steps of each run (loading, verification, warm-up) are not counted.

Run: python benchmarks/quickstart_step.py --out results/quickstart_step.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from shared_prefix import versions

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "recipes/grpo/embedded.yaml"
SKIPPED = 3


def seconds_a_step(enabled: bool, steps: int, folder: Path) -> float:
    """Median wall time of a step, without the first steps [s]."""
    settings = {
        "trainer.max_steps": steps,
        "trainer.lr_scheduler_kwargs": "{num_decay_steps: 1}",
        "trainer.save_steps": 10 * steps,
        "monitor.samples_every": 0,
        "shared_prefix.enabled": str(enabled).lower(),
    }
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "maniplvm", "train", "grpo", RECIPE, "--out", str(folder)]
    subprocess.run([*command, *changes], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    ends = [json.loads(line)["seconds"] for line in lines]
    return median(b - a for a, b in zip(ends[SKIPPED - 1 :], ends[SKIPPED:], strict=False))


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=13)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "quickstart_step.json")
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as work:
        for number in range(options.rounds):
            shared, plain = (
                seconds_a_step(enabled, options.steps, Path(work) / f"{number}-{enabled}")
                for enabled in (True, False)
            )
            print(f"shared {shared:.2f} s, plain {plain:.2f} s a step", flush=True)
            rounds.append(
                {"shared_seconds": shared, "plain_seconds": plain, "ratio": plain / shared}
            )
    content = {
        "command": "python " + " ".join(["benchmarks/quickstart_step.py", *sys.argv[1:]]),
        "seed": 0,
        "versions": versions(),
        "recipe": RECIPE,
        "rounds": rounds,
        "ratio": median(each["ratio"] for each in rounds),
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
