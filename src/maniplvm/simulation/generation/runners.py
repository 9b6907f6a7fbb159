"""Where generation jobs run: in this process, in worker processes, or on the nodes of a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial

from maniplvm.cluster import Limits, NodePool
from maniplvm.process import end_with_parent
from maniplvm.simulation.generation.jobs import Drops
from maniplvm.simulation.generation.plan import SPLITS, GenerationJob, Plan
from maniplvm.simulation.generation.sampler import SceneSampler
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks.sample import Sample

Generated = tuple[list[Sample], Drops]
"""The samples of a job, and the number of dropped images by split and cause."""

PACKAGES = ("mujoco", "metaworld", "robosuite", "numpy", "pillow")
"""Packages that decide the bytes of a data set; all nodes must have the same versions."""


def generate_job(job: GenerationJob, plan: Plan) -> Generated:
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


def run_jobs(
    jobs: Sequence[GenerationJob],
    plan: Plan,
    workers: int,
    ray: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[GenerationJob, list[Sample], Drops]]:
    """Run independent jobs.

    Args:
        jobs: The jobs.
        plan: Their plan.
        workers: Number of processes, on each node.
        ray: Address of a Ray cluster; None for this machine.
        report: Called with a line when a node is lost or cannot be used.

    Yields:
        Each finished job with its samples and its dropped images, in any order.

    Raises:
        UserError: A simulator or OpenGL is missing, or the cluster cannot be used.
    """
    if ray is not None and jobs:
        yield from _on_nodes(jobs, plan, workers, ray, report)
    elif workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, *generate_job(job, plan)
    else:
        yield from _in_processes(jobs, plan, workers)


class JobRunner:
    """The worker processes of one node."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._pool = _process_pool(workers)

    def run(self, job: GenerationJob) -> Generated:
        """Run one job in a worker process, and wait for it."""
        return self._pool.submit(generate_job, job, self._plan).result()


def _on_nodes(
    jobs: Sequence[GenerationJob],
    plan: Plan,
    workers: int,
    address: str,
    report: Callable[[str], None],
) -> Iterator[tuple[GenerationJob, list[Sample], Drops]]:
    scenes = max(len(job.scenes) for job in jobs)
    with NodePool(
        address,
        partial(JobRunner, plan, workers),
        workers=workers,
        parallel=workers,
        packages=PACKAGES,
        limits=Limits(chunk=300.0 + 60.0 * scenes * plan.views),
        report=report,
    ) as pool:
        for number, (samples, drops) in pool.run(jobs):
            yield jobs[number], samples, drops


def _in_processes(
    jobs: Sequence[GenerationJob], plan: Plan, workers: int
) -> Iterator[tuple[GenerationJob, list[Sample], Drops]]:
    with _process_pool(workers) as pool:
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


def _process_pool(workers: int) -> ProcessPoolExecutor:
    # A forked process would inherit the OpenGL context.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(os.getpid(),))


def _start_worker(parent: int) -> None:
    """End with the parent. Software rendering would start one thread per core in every worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles it
    end_with_parent(parent)
    os.environ.setdefault("LP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
