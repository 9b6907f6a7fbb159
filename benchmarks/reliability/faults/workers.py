"""Worker processes that have imported the packages of the commands, and fork the commands."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module

from benchmarks.reliability.faults.forked import ROOT

from maniplvm.process import end_with_parent

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "COLUMNS": "300"}


@contextmanager
def worker_pool(jobs: int, modules: Sequence[str]) -> Generator[ProcessPoolExecutor]:
    """A pool whose processes have one thread each, so that they can fork.

    Args:
        jobs: Number of processes.
        modules: Modules that they import at their start.
    """
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)  # read by native libraries when they are loaded
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(jobs, context, _start, (tuple(modules), os.getpid())) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(modules: tuple[str, ...], parent: int) -> None:
    end_with_parent(parent)
    os.chdir(ROOT)
    for name in modules:
        import_module(name)
