"""Rates of data generation and execution on one and on two Ray nodes, beside the local pools.

Both nodes are on this machine, on loopback addresses in a network namespace of their own. Each has
one worker, so two nodes take two cores.

Run: python benchmarks/ray_nodes.py --out results/ray.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.process import package_versions
from maniplvm.simulation.execution import ExecutionJob, open_execution_pool
from maniplvm.simulation.generation.generate import generate
from maniplvm.simulation.generation.plan import Plan
from maniplvm.tasks import Task, TraceTarget

ROOT = Path(__file__).resolve().parents[1]
ISOLATED = "MANIPLVM_ISOLATED"
HEAD = "127.0.0.2"
TASKS = (
    "drawer-open-v3",
    "push-v3",
    "window-open-v3",
    "button-press-v3",
    "door-open-v3",
    "plate-slide-v3",
)
OBJECT_STORE_BYTES = 200 * 2**20
SCENES, ROLLOUTS = 10**7, 10**6


def isolate(arguments: list[str]) -> None:
    """Run this script again in a network namespace: Ray listens on all interfaces."""
    setup = 'ip link set lo up && exec "$@"'
    command = [sys.executable, *arguments]
    environment = os.environ | {
        ISOLATED: "1",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    run = subprocess.run(["unshare", "-n", "sh", "-c", setup, "sh", *command], env=environment)
    raise SystemExit(run.returncode)


@contextmanager
def cluster(nodes: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """A cluster of some nodes with one CPU each.

    Yields:
        Its address, and a function that removes its last node.
    """
    import ray
    from ray.cluster_utils import Cluster

    settings: dict[str, Any] = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES}
    head = {**settings, "include_dashboard": False, "node_ip_address": HEAD}
    own = Cluster(initialize_head=True, head_node_args=head)
    try:
        others = [
            own.add_node(**settings, node_ip_address=f"127.0.0.{number + 3}")
            for number in range(nodes - 1)
        ]
        yield str(own.address), lambda: own.remove_node(others.pop())
    finally:
        ray.shutdown()
        own.shutdown()


def digest(folder: Path) -> str:
    """SHA-256 of the files of a data set, by name."""
    files = sorted(folder.iterdir())
    return hashlib.sha256(
        b"".join(path.name.encode() + path.read_bytes() for path in files)
    ).hexdigest()


class Bench:
    """Timed generations and executions of the same work. A driver is the process of this script.

    Args:
        folder: Folder of temporary files.
        scenes: Scenes of each task.
        repeats: Timed batches of executions; their median is taken.
    """

    def __init__(self, folder: Path, scenes: int, repeats: int) -> None:
        self.folder = folder
        self.plan = Plan(scenes={"train": scenes}, tasks=TASKS, views=2, size=192)
        self.repeats = repeats
        self.bytes: set[str] = set()
        self.outcomes: list[Any] = []
        self.driver: dict[str, float] = {}
        self.data_bytes = 0
        self._count = 0

    def generation(
        self, workers: int, ray: str | None, leave: Callable[[], None] | None = None
    ) -> float:
        """Wall time of one data set [s], start of the workers included."""
        out = self.folder / f"data-{self._count}"
        self._count += 1
        pending = [] if leave is None else [leave]

        def progress(images: int) -> None:
            if images and pending:
                pending.pop()()

        started, cpu = time.perf_counter(), time.process_time()
        generate(self.plan, out, name="bench", workers=workers, ray=ray, progress=progress)
        seconds = time.perf_counter() - started
        self.driver["image"] = (time.process_time() - cpu) / self.plan.images
        self.data_bytes = sum(path.stat().st_size for path in out.iterdir())
        self.bytes.add(digest(out))
        return seconds

    def executions(self, workers: int, ray: str | None) -> tuple[float, float]:
        """Wall times of the first batch, and of a later one (median) [s]."""
        samples = open_dataset(self.folder / "data-0").samples("train", images=False)
        jobs = [
            ExecutionJob(sample, np.asarray(sample.target.points) + shift)
            for sample in samples
            if sample.task is Task.TRAJECTORY and isinstance(sample.target, TraceTarget)
            for shift in (0.0, 6.0)
        ]
        seconds = list[float]()
        with open_execution_pool(workers, ray=ray) as pool:
            for _ in range(1 + self.repeats):
                started, cpu = time.perf_counter(), time.process_time()
                self.outcomes.append([(e.reason, e.progress, e.steps) for e in pool.run(jobs)])
                seconds.append(time.perf_counter() - started)
                self.driver["execution"] = (time.process_time() - cpu) / len(jobs)
        self.jobs = len(jobs)
        return seconds[0], median(seconds[1:])

    def measure(self, workers: int, ray: str | None) -> dict[str, Any]:
        """Rates of one arrangement."""
        made = self.generation(workers, ray)
        first, later = self.executions(workers, ray)
        return {
            "generation_s": round(made, 2),
            "images_per_second": round(self.plan.images / made, 2),
            "executions_first_batch_s": round(first, 2),
            "executions_s": round(later, 2),
            "executions_per_second": round(self.jobs / later, 2),
        }


def plan(bench: Bench, rates: dict[str, Any], driver: dict[str, float]) -> dict[str, Any]:
    """What `SCENES` scenes and `ROLLOUTS` rollouts need at the measured rates of two cores.

    Args:
        bench: The finished measurement.
        rates: Rates of two nodes with one core each.
        driver: CPU time of the driver for one image and for one execution [s].
    """
    images = SCENES * bench.plan.views
    seconds = {
        "image": 2 / rates["images_per_second"],
        "execution": 2 / rates["executions_per_second"],
    }
    return {
        "scenes": SCENES,
        "rollouts": ROLLOUTS,
        "core_seconds_per_image": round(seconds["image"], 3),
        "core_seconds_per_execution": round(seconds["execution"], 3),
        "core_hours_scenes": round(images * seconds["image"] / 3600),
        "core_hours_rollouts": round(ROLLOUTS * seconds["execution"] / 3600),
        "terabytes_scenes": round(bench.data_bytes / bench.plan.images * images / 1e12, 2),
        "driver_seconds_per_image": round(driver["image"], 4),
        "driver_seconds_per_execution": round(driver["execution"], 4),
        "cores_that_one_driver_feeds_images": round(seconds["image"] / driver["image"]),
        "cores_that_one_driver_feeds_executions": round(seconds["execution"] / driver["execution"]),
    }


def main() -> None:
    """Measure four arrangements and a lost node, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=16, help="scenes of each task")
    parser.add_argument("--repeats", type=int, default=3, help="timed batches of executions")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "ray.json")
    options = parser.parse_args()
    if ISOLATED not in os.environ:
        isolate(sys.argv)
    measured: dict[str, Any] = {}
    driver: dict[str, float] = {}
    lost = 0.0
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.scenes, options.repeats)
        for name, workers in (("local_1_worker", 1), ("local_2_workers", 2)):
            measured[name] = bench.measure(workers, None)
            print(name, measured[name], flush=True)
        for nodes in (1, 2):
            with cluster(nodes) as (address, leave):
                name = f"ray_{nodes}_node{'s' if nodes > 1 else ''}"
                measured[name] = bench.measure(1, address)
                print(name, measured[name], flush=True)
                if nodes == 2:
                    driver = dict(bench.driver)
                    lost = round(bench.generation(1, address, leave), 2)
        content = {
            "command": "python benchmarks/ray_nodes.py",
            "seed": bench.plan.seed,
            "versions": package_versions(("ray", "mujoco", "metaworld", "numpy")),
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "images": bench.plan.images,
            "executions": bench.jobs,
            "arrangements": measured,
            "generation_with_a_lost_node_s": lost,
            "plan": plan(bench, measured["ray_2_nodes"], driver),
            "same_bytes": len(bench.bytes) == 1,
            "same_outcomes": all(own == bench.outcomes[0] for own in bench.outcomes),
        }
    for what in ("generation_s", "executions_s"):
        one, two = (measured[name][what] for name in ("ray_1_node", "ray_2_nodes"))
        content[f"speedup_2_nodes_{what.removesuffix('_s')}"] = round(one / two, 2)
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
