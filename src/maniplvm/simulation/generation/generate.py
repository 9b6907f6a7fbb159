"""Data sets out of simulation: the same bytes for any number of workers and shards."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from maniplvm.data import DatasetWriter, open_dataset
from maniplvm.errors import UserError
from maniplvm.simulation.generation.jobs import Drops, Parts
from maniplvm.simulation.generation.plan import Job, Plan, shard_of
from maniplvm.simulation.generation.sampler import Studio
from maniplvm.simulation.generation.splits import SPLITS
from maniplvm.simulation.worlds.registry import world
from maniplvm.tasks.sample import Sample

DESCRIPTION = (
    "Simulated manipulation scenes with affordance boxes from contact forces and traces from "
    "expert demonstrations; made by `maniplvm simulate`."
)
LICENSE = "MIT (images of Meta-World and robosuite assets, both MIT)"

Progress = Callable[[int], None]
"""Called with the number of images tried since the last call."""


@dataclass(frozen=True)
class Report:
    """What a run came to.

    Attributes:
        samples: In the data set; 0 while it is incomplete.
        drops: Images given up, by split and cause.
        missing: Jobs that are left to other shards.
    """

    samples: int
    drops: Drops
    missing: int


def make(job: Job, plan: Plan) -> tuple[list[Sample], Drops]:
    """Do one job, here and now."""
    origin = world(job.world)
    samples: list[Sample] = []
    drops: defaultdict[str, Counter[str]] = defaultdict(Counter)
    size = (plan.size, plan.size)
    with Studio(origin.open(job.task), size, plan.variety, origin.versions()) as studio:
        for name, index in job.scenes:
            split = SPLITS[name]
            made, dropped = studio.samples(split, split.scene_seed(plan.seed, index), plan.views)
            samples += made
            drops[name] += dropped
    return samples, {name: dict(counts) for name, counts in drops.items() if counts}


def generate(
    plan: Plan,
    out: Path,
    *,
    name: str,
    workers: int = 1,
    shard: str = "1/1",
    progress: Progress = lambda images: None,
) -> Report:
    """Make a data set, or one shard of it.

    Finished jobs are kept in a folder beside `out`, whose name ends in `.parts`. A run that is
    started again goes on where it stopped. Shards share that folder (or its contents are copied
    together); the shard that finds all jobs finished writes the data set and removes the parts.

    Args:
        plan: What to make.
        out: Where the data set goes; it must not exist.
        name: The data set's name.
        workers: Processes.
        shard: `i/n`: make every n-th job, from the i-th on.
        progress: Told how many images were tried.

    Raises:
        UserError: `out` exists, the parts are those of another plan, or a world's simulator or
            OpenGL is missing.
    """
    if out.exists():
        raise UserError(f"{out}: already exists; choose another folder or remove it")
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    jobs = plan.jobs()
    if not jobs:
        raise UserError("nothing to make: no scene was asked for")
    mine = shard_of(jobs, shard)
    for origin in sorted({job.world for job in mine}):
        world(origin)
    parts = Parts(out, plan)
    waiting = [job for job in mine if not parts.has(job)]
    progress(sum(len(job.scenes) for job in mine if parts.has(job)) * plan.views)
    for job, samples, drops in _made(waiting, plan, workers):
        parts.save(job, samples, drops)
        progress(len(job.scenes) * plan.views)
    missing = sum(not parts.has(job) for job in jobs)
    drops = _total(parts.drops(job) for job in jobs if parts.has(job))
    if missing:
        return Report(0, drops, missing)
    by_task = {job.name: parts.drops(job) for job in jobs if parts.drops(job)}
    extra = {"plan": plan.to_json(), "drops": drops, "drops_by_job": by_task}
    with DatasetWriter(
        out, name=name, description=DESCRIPTION, license=LICENSE, extra=extra
    ) as writer:
        for split, table in parts.tables(jobs):
            writer.add_table(split, table)
    parts.remove()
    return Report(len(open_dataset(out)), drops, 0)


def _made(
    jobs: Sequence[Job], plan: Plan, workers: int
) -> Iterator[tuple[Job, list[Sample], Drops]]:
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, *make(job, plan)
        return
    # Fork would copy a live OpenGL context; a fresh process has none.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_one_thread_each) as pool:
        running = {pool.submit(make, job, plan): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running.pop(future), *future.result()  # forget it: images are large
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread_each() -> None:
    """Software rendering would start a thread for each core in every worker."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _total(parts: Iterator[Drops]) -> Drops:
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for drops in parts:
        for name, counts in drops.items():
            total[name].update(counts)
    return {name: dict(sorted(total[name].items())) for name in SPLITS if name in total}
