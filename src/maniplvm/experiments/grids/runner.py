"""Run a grid: several runs in parallel, each in its own process. Finished runs are skipped."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from maniplvm.cluster import Ended, RemoteCommands
from maniplvm.errors import UserError
from maniplvm.experiments.grids.grid import Grid
from maniplvm.experiments.grids.runs import Run, needed_runs
from maniplvm.experiments.grids.stages import check_files, is_finished, stages_of
from maniplvm.experiments.stages import Stage, StageProcesses, run_stages
from maniplvm.process import peak_rss_mb

LOG = "output.log"
LOCK = ".lock"
_THREADS = "OMP_NUM_THREADS"


def run_grid(
    grid: Grid,
    work: Path,
    runs: Sequence[Run],
    jobs: int,
    announce: Callable[[str], None] = lambda text: None,
    ray: str | None = None,
) -> None:
    """Run all unfinished runs. After an interruption the same call resumes.

    A failed run stops only the runs that need it.

    Args:
        grid: From `read_grid`.
        work: The run folder of the grid.
        runs: From `runs_of`, in order.
        jobs: Number of parallel runs.
        announce: Called with a line for every stage that starts and every run that ends.
        ray: Address of a Ray cluster whose nodes run the stages; None for this machine. The nodes
            share the file system of `work`.

    Raises:
        UserError: a file is missing, the folder is in use or holds runs of another grid, runs
            failed, or the cluster cannot be used.
    """
    left = [run for run in runs if not is_finished(grid, work, run)]
    if not left:
        return
    check_files(grid, left)
    work.mkdir(parents=True, exist_ok=True)
    failed = list[str]()
    with ExitStack() as stack:
        lock = stack.enter_context((work / LOCK).open("a", encoding="utf-8"))
        _claim(lock, work)
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        remote = None if ray is None else stack.enter_context(RemoteCommands(ray))
        processes = StageProcesses()
        launcher = _Launcher(work, lock, jobs, processes, remote)
        active: dict[Future[None], Run] = {}
        try:
            while left or active:
                for run in _ready(grid, work, left)[: jobs - len(active)]:
                    left.remove(run)
                    active[pool.submit(_execute, grid, work, run, launcher, announce)] = run
                if not active:
                    break
                for future in wait(active, return_when=FIRST_COMPLETED).done:
                    run = active.pop(future)
                    error = future.exception()
                    if isinstance(error, UserError):
                        failed.append(f"{run.name} ({error}; see {run.folder / LOG})")
                        announce(f"{run.name}: failed, see {run.folder / LOG}")
                    else:
                        future.result()
                        announce(f"{run.name}: finished")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.terminate()
            raise
    if failed:
        waiting = f"; {len(left)} runs need them" if left else ""
        raise UserError(f"{len(failed)} runs failed: {'; '.join(failed)}{waiting}")


def default_jobs() -> int:
    """Number of parallel runs: two if there are two cores, else one."""
    return max(1, min(2, _cores()))


def _ready(grid: Grid, work: Path, left: Sequence[Run]) -> list[Run]:
    return [
        run
        for run in left
        if all(is_finished(grid, work, needed) for needed in needed_runs(grid, work, run))
    ]


@dataclass(frozen=True)
class _Launcher:
    """Where the commands of a run are started.

    Attributes:
        work: The run folder of the grid.
        lock: Its open lock file.
        jobs: Number of parallel runs.
        processes: The running commands of this machine.
        remote: The nodes of a cluster; None for this machine.
    """

    work: Path
    lock: IO[str]
    jobs: int
    processes: StageProcesses
    remote: RemoteCommands | None

    def run(self, stage: Stage, log: Path) -> Ended:
        """Run one command, and append its output to the log."""
        environment = {_THREADS: str(max(1, _cores() // self.jobs)), **os.environ}
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {stage.command}\n")
            file.flush()
            if self.remote is None:
                status = _status_of(stage, file, self.lock, self.processes, environment)
                return Ended(status, peak_rss_mb(resource.RUSAGE_CHILDREN))
        return self.remote.run(stage.words, log.absolute(), {}, (self.work / LOCK).absolute())


def _execute(
    grid: Grid, work: Path, run: Run, launcher: _Launcher, announce: Callable[[str], None]
) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    peaks = [0.0]

    def launch(stage: Stage) -> int:
        ended = launcher.run(stage, run.folder / LOG)
        peaks.append(ended.peak_rss_mb)
        return ended.status

    stages = stages_of(grid, work, run)
    run_stages(stages, run.folder, lambda each: announce(each.purpose), launch, lambda: max(peaks))


def _status_of(
    stage: Stage,
    log: IO[str],
    lock: IO[str],
    processes: StageProcesses,
    environment: dict[str, str],
) -> int:
    """Run a stage with its output in a log.

    Returns:
        The exit status.
    """
    return processes.run(
        stage,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        env=environment,
        # The child inherits the lock: if it outlives this process, it still locks the folder.
        pass_fds=(lock.fileno(),),
    )


def _claim(lock: IO[str], work: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(
            f"{work}: in use, perhaps by a process of an interrupted experiment; wait until "
            "it ends, or choose another --out"
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
