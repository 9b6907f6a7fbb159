"""Execute every reference trace of the shipped data set.

Run: python benchmarks/shipped_execution.py --out results/shipped_execution.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from maniplvm.data import open_dataset
from maniplvm.evaluation import bootstrap_mean
from maniplvm.simulation.execution import Execution, ExecutionJob, ExecutionPool
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks import Sample, Task, TraceTarget

ROOT = Path(__file__).resolve().parents[1]
BATCH = 100


def reference_jobs(samples: Sequence[Sample]) -> list[ExecutionJob]:
    """One job for each sample's reference trace."""
    return [ExecutionJob(s, s.target.points) for s in samples if isinstance(s.target, TraceTarget)]


def execute_all(samples: Sequence[Sample], workers: int) -> list[Execution]:
    """Execute all samples in batches, with a progress bar."""
    jobs = reference_jobs(sorted(samples, key=lambda sample: sample.category or ""))
    outcomes: list[Execution] = []
    with ExecutionPool(workers) as pool:
        for start in track(range(0, len(jobs), BATCH), "executions"):
            outcomes += pool.run(jobs[start : start + BATCH])
    order = {job.sample.id: outcome for job, outcome in zip(jobs, outcomes, strict=True)}
    return [order[sample.id] for sample in samples]


def summarise(outcomes: Sequence[Execution]) -> dict[str, Any]:
    """The success rate with its 95 % interval, and the reasons of failures."""
    interval = bootstrap_mean([outcome.success for outcome in outcomes])
    reasons: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        if not outcome.success:
            reasons[str(outcome.reason)] += 1
    return {
        "success": round(interval.mean, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "count": interval.count,
        "failures": dict(reasons),
    }


def main() -> None:
    """Execute all traces and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "datasets" / "sim-small")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "shipped_execution.json")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    samples = list(dataset.samples(task=Task.TRAJECTORY, images=False))
    outcomes = execute_all(samples, arguments.workers)
    by_split: dict[str, list[Execution]] = defaultdict(list)
    by_task: dict[str, list[Execution]] = defaultdict(list)
    for sample, outcome in zip(samples, outcomes, strict=True):
        by_split[sample.split].append(outcome)
        by_task[sample.category or "-"].append(outcome)
    report = {
        "command": "python benchmarks/shipped_execution.py",
        "seed": 0,
        "versions": {**load_world("metaworld").versions(), **load_world("robosuite").versions()},
        "data": dataset.info.name,
        "all": summarise(outcomes),
        "splits": {name: summarise(rows) for name, rows in by_split.items()},
        "tasks": {name: summarise(by_task[name]) for name in sorted(by_task)},
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"all": report["all"], "splits": report["splits"]}, indent=1))


if __name__ == "__main__":
    main()
