"""Generates data sets from simulation: the same bytes for any number of workers and shards."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from maniplvm.data import DatasetWriter, open_dataset
from maniplvm.data.manifest import MANIFEST_NAME
from maniplvm.data.replacement import complete
from maniplvm.errors import UserError
from maniplvm.files import is_unfinished
from maniplvm.process import end_with_parent
from maniplvm.simulation.generation.jobs import Drops, JobStore
from maniplvm.simulation.generation.plan import SPLITS, GenerationJob, Plan, shard_of
from maniplvm.simulation.generation.sampler import SceneSampler
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks.sample import Sample

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


def generate_job(job: GenerationJob, plan: Plan) -> tuple[list[Sample], Drops]:
    """Generate the samples of one job in this process."""
    world = load_world(job.world)
    samples: list[Sample] = []
    drops: defaultdict[str, Counter[str]] = defaultdict(Counter)
    size = (plan.size, plan.size)
    with SceneSampler(world.open(job.task), size, plan.randomization, world.versions()) as sampler:
        for name, index in job.scenes:
            split = SPLITS[name]
            scene_samples, dropped = sampler.samples(
                split, split.scene_seed(plan.seed, index), plan.views
            )
            samples += scene_samples
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
) -> GenerationReport:
    """Generate a data set, or one shard of it.

    Finished jobs are kept in a folder beside `out` whose name ends in `.parts`. A restarted run
    resumes there. Shards share that folder, or their folders are copied together. The shard that
    finds all jobs finished writes the data set and removes the folder.

    Args:
        plan: Settings of the data set.
        out: Folder of the new data set. It must not exist.
        name: Name of the data set.
        workers: Number of processes.
        shard: `i/n` generates every n-th job, from the i-th on.
        progress: Called with the number of images since the last call.

    Raises:
        UserError: `out` exists, the folder holds jobs of another plan, or a world's simulator or
            OpenGL is missing.
    """
    if out.exists():
        report = _finish_interrupted(out, plan)
        if report is not None:
            return report
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
    pending = [job for job in mine if not store.has(job)]
    progress(sum(len(job.scenes) for job in mine if store.has(job)) * plan.views)
    for job, samples, drops in _run_jobs(pending, plan, workers):
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


def _run_jobs(
    jobs: Sequence[GenerationJob], plan: Plan, workers: int
) -> Iterator[tuple[GenerationJob, list[Sample], Drops]]:
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, *generate_job(job, plan)
        return
    # A forked process would inherit the OpenGL context.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(os.getpid(),)
    ) as pool:
        running = {pool.submit(generate_job, job, plan): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running.pop(future), *future.result()  # free it, because images are large
        except (
            BaseException
        ):  # also a signal: the jobs that run are lost, the finished ones are kept
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


def _start_worker(parent: int) -> None:
    """End with the parent. Software rendering would start one thread per core in every worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles it
    end_with_parent(parent)
    os.environ.setdefault("LP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _total(each_job: Iterator[Drops]) -> Drops:
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for drops in each_job:
        for name, counts in drops.items():
            total[name].update(counts)
    return {name: dict(sorted(total[name].items())) for name in SPLITS if name in total}
