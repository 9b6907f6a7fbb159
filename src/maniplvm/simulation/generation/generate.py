"""Generates data sets from simulation: the same bytes for any number of workers and shards."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from maniplvm.data import DatasetWriter, open_dataset
from maniplvm.data.manifest import MANIFEST_NAME
from maniplvm.data.replacement import complete
from maniplvm.errors import UserError
from maniplvm.files import is_unfinished, writing
from maniplvm.simulation.generation.jobs import Drops, JobStore
from maniplvm.simulation.generation.plan import SPLITS, Plan, shard_of
from maniplvm.simulation.generation.runners import run_jobs
from maniplvm.simulation.worlds import load_world

DESCRIPTION = (
    "Simulated manipulation scenes with affordance boxes from contact forces and traces from "
    "expert demonstrations; made by `maniplvm simulate`."
)
LICENSE = "MIT (images of Meta-World and robosuite assets, both MIT)"

Progress = Callable[[int], None]
"""Called with the number of images since the last call, dropped images included."""


@dataclass(frozen=True)
class GenerationReport:
    """The result of a run.

    Attributes:
        samples: Number of samples in the data set; 0 while it is incomplete.
        drops: Number of dropped images, by split and cause.
        missing: Number of jobs that other shards still have to finish.
    """

    samples: int
    drops: Drops
    missing: int


def generate(
    plan: Plan,
    out: Path,
    *,
    name: str,
    workers: int = 1,
    shard: str = "1/1",
    progress: Progress = lambda images: None,
    ray: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> GenerationReport:
    """Generate a data set, or one shard of it.

    Finished jobs are kept in a folder beside `out` whose name ends in `.parts`. A restarted run
    resumes there. Shards share that folder, or their folders are copied together. The shard that
    finds all jobs finished writes the data set and removes the folder.

    Args:
        plan: Settings of the data set.
        out: Folder of the new data set. It must not exist.
        name: Name of the data set.
        workers: Number of processes, on each node.
        shard: `i/n` generates every n-th job, from the i-th on.
        progress: Called with the number of images since the last call.
        ray: Address of a Ray cluster whose nodes generate the jobs; None for this machine. Only
            this process writes files.
        report: Called with a line when a node is lost or cannot be used.

    Raises:
        UserError: `out` exists, the folder holds jobs of another plan, another process generates
            the same shard, a world's simulator or OpenGL is missing, or the cluster cannot be used.
    """
    if out.exists():
        finished = _finish_interrupted(out, plan)
        if finished is not None:
            return finished
        if not out.is_dir() or not all(map(is_unfinished, out.iterdir())):
            raise UserError(f"{out}: already exists; choose another folder or remove it")
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    jobs = plan.jobs()
    if not jobs:
        raise UserError("nothing to generate: no scenes are requested; raise --per-task")
    mine = shard_of(jobs, shard)
    for world in sorted({job.world for job in mine}):
        load_world(world)
    store = JobStore(out, plan)
    with writing(store.folder / f"shard-{shard.replace('/', '-of-')}"):
        pending = [job for job in mine if not store.has(job)]
        progress(sum(len(job.scenes) for job in mine if store.has(job)) * plan.views)
        for job, samples, drops in run_jobs(pending, plan, workers, ray, report):
            store.save(job, samples, drops)
            progress(len(job.scenes) * plan.views)
        missing = sum(not store.has(job) for job in jobs)
        drops = _total(store.drops(job) for job in jobs if store.has(job))
        if missing:
            return GenerationReport(0, drops, missing)
        by_task = {job.name: store.drops(job) for job in jobs if store.drops(job)}
        extra = {"plan": plan.to_json(), "drops": drops, "drops_by_job": by_task}
        with DatasetWriter(
            out, name=name, description=DESCRIPTION, license=LICENSE, extra=extra
        ) as writer:
            for split, table in store.tables(jobs):
                writer.add_table(split, table)
        store.remove()
        return GenerationReport(len(open_dataset(out)), drops, 0)


def _finish_interrupted(out: Path, plan: Plan) -> GenerationReport | None:
    """Finish a run that was killed after its data set was complete; None if there is none."""
    if not JobStore.folder_of(out).is_dir() or not out.is_dir():
        return None
    complete(out)
    if not (out / MANIFEST_NAME).is_file():
        return None
    dataset = open_dataset(out)
    if dataset.info.extra.get("plan") != json.loads(json.dumps(plan.to_json())):
        return None
    JobStore(out, plan).remove()
    return GenerationReport(len(dataset), dataset.info.extra["drops"], 0)


def _total(each_job: Iterator[Drops]) -> Drops:
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for drops in each_job:
        for name, counts in drops.items():
            total[name].update(counts)
    return {name: dict(sorted(total[name].items())) for name in SPLITS if name in total}
