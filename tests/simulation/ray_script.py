"""Generate a data set and execute traces on one machine and on two nodes; prints the comparison."""

import hashlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.experiments import read_grid, runs_of
from maniplvm.experiments.grids.runner import LOG, run_grid
from maniplvm.simulation.execution import (
    ExecutionJob,
    ExecutionPool,
    PushTestJob,
    RayExecutionPool,
)
from maniplvm.simulation.generation.generate import generate
from maniplvm.simulation.generation.plan import Plan
from maniplvm.tasks import Task
from tests.cluster.local_cluster import ray_cluster

TASKS = ("drawer-open-v3", "push-v3", "window-open-v3")
PLAN = Plan(scenes={"train": 1}, tasks=TASKS, views=1, size=64)
GRID = """
name: baselines
data: data
seeds: [0]
base: base
evaluate: {splits: [train], execute: [], sampled: []}
arms:
  base: {}
  constant: {baseline: constant, baseline_data: "data:train"}
  random: {baseline: random}
"""


def digests(folder):
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


def shifted(samples):
    """Traces of which some work and some do not, and one missing answer."""
    jobs = [
        ExecutionJob(sample, np.asarray(sample.target.points) + shift)
        for shift in (0.0, 9.0)
        for sample in samples
        if sample.task is Task.TRAJECTORY
    ]
    return [*jobs, replace(jobs[0], trace=None)]


def main(folder):
    folder = Path(folder)
    found, lines = {}, []
    generate(PLAN, folder / "data", name="made")
    samples = list(open_dataset(folder / "data").samples("train"))
    jobs = shifted(samples)
    boxes = [PushTestJob(s, s.target.xyxy) for s in samples if s.task is Task.AFFORDANCE]
    with ExecutionPool(1) as pool:
        executions, touches = pool.run(jobs), pool.run_push_tests(boxes)
    with ray_cluster() as (cluster, nodes):
        address = cluster.address
        with RayExecutionPool(address, workers=1) as pool:
            counts = []
            found["executions"] = pool.run(jobs, counts.append) == executions
            found["counted"] = sum(counts) == len(jobs)
            found["reasons"] = sorted({str(each.reason) for each in executions})
            found["push tests"] = pool.run_push_tests(boxes) == touches
        settings = {"name": "made", "ray": address, "report": lines.append}
        generate(PLAN, folder / "spread", workers=1, **settings)
        found["bytes"] = digests(folder / "spread") == digests(folder / "data")
        os.chdir(folder)
        Path("grid.yaml").write_text(GRID)
        grid = read_grid(Path("grid.yaml"))
        runs = [run for run in runs_of(grid, Path("work")) if run.arm.baseline]
        run_grid(grid, Path("work"), runs, 2, lines.append, address)
        logs = [run.folder / LOG for run in runs]
        found["logs"] = [log.read_text().count("$ maniplvm evaluate") for log in logs]
        found["lines"] = list(lines)
        lines.clear()
        pending = [nodes[0]]

        def leave(images):
            if images and pending:
                cluster.remove_node(pending.pop())

        generate(PLAN, folder / "left", workers=1, progress=leave, **settings)
        found["bytes after a loss"] = digests(folder / "left") == digests(folder / "data")
        found["left"] = len(lines)
    print(json.dumps(found))


if __name__ == "__main__":
    started = time.monotonic()
    main(sys.argv[1])
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
