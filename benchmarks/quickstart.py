"""The quickstart over several seeds, with an SFT control.

Each seed is a run of `maniplvm quickstart --seed S`. The first seeds use `--control`: the control is trained with SFT on
the reference answers of the same tasks, from the same starting model and for the same time.

Run: python benchmarks/quickstart.py --out results/quickstart.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maniplvm.evaluation import read_evaluation
from maniplvm.experiments import (
    EVALUATED,
    Folders,
    headline_results,
    paired_differences,
    quickstart_stages,
    read_records,
    results_of,
    results_to_json,
    rounded,
    run_stages,
)

ROOT = Path(__file__).resolve().parents[1]
ARMS = {"grpo": "after", "sft": "control"}


def run(seed: int, folder: Path, options: Sequence[str]) -> None:
    """Run one quickstart. A finished one is only read."""
    command = [sys.executable, "-m", "maniplvm", "quickstart", "--out", str(folder)]
    with (folder.parent / f"seed-{seed}.log").open("a", encoding="utf-8") as log:
        done = subprocess.run(
            [*command, "--seed", str(seed), *options], cwd=ROOT, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise SystemExit(f"seed {seed} failed; see {log.name}")


def evaluate_base_once(
    seeds: Sequence[int], folders: Sequence[Path], options: Sequence[str]
) -> None:
    """Evaluate the starting model once: its greedy answers do not depend on the seed."""
    if not options:
        first = quickstart_stages(folders[0], seed=seeds[0])[:1]
        run_stages(first, folders[0], lambda stage: print(f"$ {stage.command}", flush=True))
        measured = Folders(folders[0]).evaluation("before")
        for folder in folders[1:]:
            shutil.copytree(measured, Folders(folder).evaluation("before"), dirs_exist_ok=True)


def pooled(folders: Sequence[Path], before: str, after: str) -> dict[str, Any]:
    """Paired differences of all seeds as JSON values."""
    own = [Folders(folder) for folder in folders]
    runs = [(each.evaluation(before), each.evaluation(after)) for each in own]
    return results_to_json(results_of(paired_differences(runs)))


def parse_rates(folders: Sequence[Path], name: str) -> dict[str, float]:
    """Fraction of parsed completions by split, over both tasks and all seeds."""
    rates: dict[str, float] = {}
    evaluations = [read_evaluation(Folders(folder).evaluation(name)) for folder in folders]
    for split in EVALUATED:
        tasks = [task for own in evaluations for task in own.splits[split].values()]
        read = sum(task.parse_rate.mean * task.count for task in tasks)
        rates[split] = read / sum(task.count for task in tasks)
    return rates


def one_seed(seed: int, folder: Path) -> dict[str, Any]:
    """Results, training time and stages of one seed."""
    own: dict[str, Any] = {"seed": seed, "training_seconds": {}, "optimizer_steps": {}}
    for arm, after in ARMS.items():
        if Folders(folder).evaluation(after).exists():
            record = json.loads((Folders(folder).run(arm) / "run.json").read_text(encoding="utf-8"))
            own[arm] = results_to_json(headline_results(folder, after))
            own["training_seconds"][arm] = record["wall_seconds"]
            own["optimizer_steps"][arm] = record["steps"]
    own["stages"] = {
        name: {"seconds": record.seconds, "peak_rss_mb": record.peak_rss_mb}
        for name, record in read_records(folder).items()
    }
    return own


def main() -> None:
    """Run all seeds, pool their results, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel seeds")
    parser.add_argument("--controls", type=int, help="number of seeds with a control; default: all")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench-quickstart")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "quickstart.json")
    options, passed_on = parser.parse_known_args()
    options.controls = len(options.seeds) if options.controls is None else options.controls
    folders = [options.work / f"seed-{seed}" for seed in options.seeds]
    options.work.mkdir(parents=True, exist_ok=True)
    evaluate_base_once(options.seeds, folders, passed_on)
    with ThreadPoolExecutor(options.jobs) as pool:
        controlled = [[*passed_on, "--control"]] * options.controls
        plain = [passed_on] * (len(folders) - options.controls)
        list(pool.map(run, options.seeds, folders, [*controlled, *plain]))
    content: dict[str, Any] = {
        "command": "python " + " ".join(["benchmarks/quickstart.py", *sys.argv[1:]]),
        "seed": options.seeds,
        "versions": dict(read_evaluation(Folders(folders[0]).evaluation("after")).versions),
        "intervals": "95 %, bootstrap over scenes and training seeds; differences are paired by sample",
        "trace_reward": "preset paper, mean of the sum of its four terms (0 to 4) without format",
    }
    for arm, after in ARMS.items():
        trained = [folder for folder in folders if Folders(folder).evaluation(after).exists()]
        own = pooled(trained, "before", after)
        sampled = pooled(trained, "before-sampled", f"{after}-sampled")
        content[arm] = own | {f"{split}_sampled": each for split, each in sampled.items()}
        content[f"{arm}_parse_rate"] = parse_rates(trained, after)
        content[f"{arm}_seeds"] = len(trained)
    content["seeds"] = [
        one_seed(seed, folder) for seed, folder in zip(options.seeds, folders, strict=True)
    ]
    options.out.write_text(json.dumps(rounded(content), indent=1) + "\n", encoding="utf-8")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
